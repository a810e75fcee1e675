"""MLflow as teams run it: Postgres behind a server, artifacts in an S3-compatible store."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import MlflowServer, answers, free_port
from searches import EIG_TUNE, assert_mlflow_has_every_report_once, start, trials_of, write_space

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """The URI of a database in a cluster of its own."""
    if not BINARIES:
        pytest.skip("needs PostgreSQL (Debian: apt-get install postgresql)")
    folder, port, user = tmp_path / "postgres", free_port(), "postgres" if os.geteuid() == 0 else None
    folder.mkdir()
    if user:  # PostgreSQL refuses to be run by root
        shutil.chown(folder, user)
        for parent in (tmp_path, *tmp_path.parents[:-1]):
            parent.chmod(parent.stat().st_mode | 0o711)

    def run(*command: str) -> None:
        subprocess.run([str(BINARIES[-1] / command[0]), *command[1:]], check=True, capture_output=True, user=user)

    data = str(folder / "data")
    run("initdb", "--pgdata", data, "--auth", "trust", "--username", "mlflow")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run("pg_ctl", "--pgdata", data, "--wait", "--log", str(folder / "log"), "--options", options, "start")
    try:
        yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "--pgdata", data, "--mode", "immediate", "stop")


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[str]:
    """The endpoint of an S3 server that has the bucket ``artifacts``."""
    pytest.importorskip("boto3")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with (tmp_path / "s3.log").open("w") as log:
        server = subprocess.Popen(
            [str(Path(sys.executable).with_name("moto_server")), "--port", str(port)], stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + 60
        while not answers(endpoint):
            assert time.monotonic() < end and server.poll() is None, (tmp_path / "s3.log").read_text()
            time.sleep(0.2)
        client(endpoint).create_bucket(Bucket="artifacts")
        yield endpoint
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def environment(s3: str) -> Mapping[str, str]:
    return {**KEYS, "MLFLOW_S3_ENDPOINT_URL": s3}


def test_search_best_and_export(postgres: str, s3: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    """Trials write to the server; artifacts go to the bucket by way of it."""
    server = MlflowServer(tmp_path, backend=postgres, artifacts="s3://artifacts/mlflow", environment=environment)
    try:
        home = tmp_path / "home"
        where = ("--tracking-uri", server.uri)
        assert start(write_space(tmp_path), home, *where).wait(timeout=300) == 0, home.with_suffix(".log").read_text()
        assert_mlflow_has_every_report_once(home, trials_of(home), server.uri)
        bundle = tmp_path / "bundle"
        command = [str(EIG_TUNE), "best", "--home", str(tmp_path / "elsewhere"), *where, "--export", str(bundle)]
        done = subprocess.run([*command, "--register", "digits"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert {"weights.safetensors", "encoder.onnx", "README.md"} <= {file.name for file in bundle.iterdir()}
        assert "is the champion of digits now" in done.stderr
        assert stored(s3), "no artifact has reached the bucket"
    finally:
        server.kill()


def client(endpoint: str) -> Any:
    import boto3

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=endpoint, **keys)


def stored(endpoint: str) -> list[str]:
    listing = client(endpoint).list_objects_v2(Bucket="artifacts")
    return [entry["Key"] for entry in listing.get("Contents", [])]
