"""docker/compose.yaml without Docker: Postgres, S3, MLflow with login, Ray with its token, and a search through all."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from classifiers import give_classifier
from mlflow_server import free_port
from searches import assert_mlflow_has_every_report_once, trials_of, write_space
from stack import Stack, base_environment, lines_with

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
DOCKER = Path(__file__).parents[2] / "docker"
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
ROOT = os.geteuid() == 0
HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short name, because Ray's sockets lie below it; open to the user whom Postgres runs as."""
    made = Path(tempfile.mkdtemp(prefix="eig-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def secrets(folder: Path) -> Mapping[str, str]:
    """The secrets as docker/make_secrets.sh makes them, by file name."""
    subprocess.run([DOCKER / "make_secrets.sh", folder / "secrets"], check=True)
    return {file.name: file.read_text() for file in (folder / "secrets").iterdir()}


@pytest.fixture(scope="module")
def stack(folder: Path, secrets: Mapping[str, str]) -> Iterator[Stack]:
    if not POSTGRES:
        pytest.skip("needs PostgreSQL (Debian: apt-get install postgresql)")
    ports = {name: str(free_port()) for name in ("POSTGRES", "S3", "MLFLOW", "HEAD", "CLIENT")}
    running = Stack(
        file=DOCKER / "compose.yaml",
        folder=folder,
        variables={
            **{f"EIG_{name}_PORT": port for name, port in ports.items()},
            **{f"EIG_{name}_HOST": HERE for name in ("POSTGRES", "S3", "MLFLOW", "HEAD")},
            **{"EIG_DASHBOARD": "false", "EIG_MLFLOW_BIND": HERE, "EIG_MLFLOW_WORKERS": "1", "EIG_WORKER_CPUS": "1"},
            **{
                "EIG_NODE_HOME": f"{folder}/home",
                "EIG_RUNS": f"{folder}/runs",
                "EIG_POSTGRES_DATA": f"{folder}/postgres",
            },
            "EIG_MLFLOW_AUTH_CONFIG": str(DOCKER / "mlflow_auth.ini"),
            "EIG_SECRETS": str(folder / "secrets"),
        },
        fresh={"EIG_AGENT_PORT": lambda: str(free_port())},
        # Trials at nice 15 would wait for whatever else this machine does.
        base={
            **base_environment(DOCKER / "bin", POSTGRES[-1]),
            "RAY_raylet_start_wait_time_s": "120",
            "RAY_worker_niceness": "0",
        },
        instead={
            "s3": {
                "entrypoint": [],
                "command": ["moto_server", "--host", HERE, "--port", ports["S3"]],
                "environment": {"HEALTH_URL": f"http://{HERE}:{ports['S3']}"},
                "healthcheck": {"test": ["CMD", "healthy"]},
            }
        },
        before={"postgres": make_database},
        users={"postgres": "postgres"} if ROOT else {},  # Postgres refuses to be run by root
    )
    try:
        running.up()
        yield running
    finally:
        running.down()


def make_database(environment: Mapping[str, str]) -> None:
    """What the entrypoint of Postgres's image does with these variables at its first start."""
    data, user = Path(environment["PGDATA"]), environment["POSTGRES_USER"]
    data.parent.mkdir()
    if ROOT:
        shutil.chown(data.parent, "postgres")
    command = ["initdb", "--username", user, "--pwfile", environment["POSTGRES_PASSWORD_FILE"], "--encoding", "UTF8"]
    command += ["--auth", "scram-sha-256"]
    subprocess.run(command, check=True, capture_output=True, env=environment, user="postgres" if ROOT else None)
    make = f"create database {environment['POSTGRES_DB']}".encode()
    command = ["postgres", "--single", "-D", str(data), "postgres"]
    subprocess.run(
        command, check=True, capture_output=True, input=make, user="postgres" if ROOT else None, env=environment
    )


def test_search_best_and_register(stack: Stack, secrets: Mapping[str, str], folder: Path, monkeypatch: Any) -> None:
    """One search through all of it; metrics in Postgres, artifacts in the bucket, nobody in without a password."""
    space = write_space(folder, confirmed=1)
    give_classifier(folder / "runs")
    searched = stack.exec("head", "eig-tune", "search", "--space", str(space))
    assert searched.returncode == 0, searched.stderr
    assert "PUT /eig-tune/checkpoints/" in stack.processes["s3"][0].log.read_text(), "no checkpoint went to the bucket"
    runs, uri = folder / "runs", f"http://{HERE}:{stack.variables['EIG_MLFLOW_PORT']}"
    trials = trials_of(runs)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", "eig-tune")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", secrets["mlflow_password"])
        assert_mlflow_has_every_report_once(runs, trials, uri)
    reports = sum(len(trial.reports) * len(trial.last.metrics) for trial in trials.values() if trial.last)
    assert metrics_in_postgres(stack, secrets["postgres_password"]) >= reports

    bundle = folder / "bundle"
    taken = stack.exec("head", "eig-tune", "best", "--export", str(bundle), "--register", "digits")
    assert taken.returncode == 0, taken.stderr
    assert {"weights.safetensors", "encoder.onnx", "README.md"} <= {file.name for file in bundle.iterdir()}
    assert "is the champion of digits now" in taken.stderr
    assert any(key.endswith("encoder.onnx") for key in stored(stack)), "the registered model is not in the bucket"

    refused = stack.exec("head", "eig-tune", "best", MLFLOW_TRACKING_PASSWORD="wrong")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1 and "401" in refused.stderr, refused.stderr

    known = {name: secret for name, secret in secrets.items() if not name.endswith("_credentials")}
    assert lines_with(known, written(folder)) == []


def test_ray_wants_its_token(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0" * 48)
    refused = stack.exec("head", "ray", "status", RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    assert refused.returncode != 0 and "node_" not in refused.stdout
    end = time.monotonic() + 60
    while (status := stack.exec("head", "ray", "status").stdout).count(" node_") < 3:  # a head and two workers
        assert time.monotonic() < end, status
        time.sleep(1)


def metrics_in_postgres(stack: Stack, password: str) -> int:
    import psycopg2

    port = stack.variables["EIG_POSTGRES_PORT"]
    database = psycopg2.connect(host=HERE, port=port, user="mlflow", dbname="mlflow", password=password)
    with database, database.cursor() as cursor:
        cursor.execute("select count(*) from metrics")
        return int(cursor.fetchone()[0])


def stored(stack: Stack) -> list[str]:
    """What lies in the bucket."""
    from pyarrow.fs import FileSelector, S3FileSystem

    endpoint = f"http://{HERE}:{stack.variables['EIG_S3_PORT']}"
    bucket = S3FileSystem(access_key="any", secret_key="any", endpoint_override=endpoint, region="us-east-1")
    return [entry.path for entry in bucket.get_file_info(FileSelector("eig-tune", recursive=True))]


def written(folder: Path) -> Iterator[Path]:
    """What the services, the search and the bundle have left behind, but for the secrets themselves."""
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.is_file() and not {"secrets", ".mlflow"} & {*parts} and parts[0] != "postgres":
            yield file
