"""MLflow as teams run it: Postgres behind a server, artifacts in an S3-compatible store."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_server import MlflowServer, free_port
from s3_server import S3Server
from searches import EIG_TUNE, assert_mlflow_has_every_report_once, start, trials_of, write_space

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


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
def s3(tmp_path: Path) -> Iterator[S3Server]:
    running = S3Server(tmp_path)
    yield running
    running.kill()


def test_search_best_and_export(postgres: str, s3: S3Server, tmp_path: Path) -> None:
    """Trials write to the server; artifacts go to the bucket by way of it."""
    environment = {**s3.environment, "MLFLOW_S3_ENDPOINT_URL": s3.endpoint}
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
        assert s3.files(), "no artifact has reached the bucket"
    finally:
        server.kill()
