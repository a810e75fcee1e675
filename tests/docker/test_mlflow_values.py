"""The MLflow server that docker/mlflow_values.yaml describes, as a process: login, artifacts, and who may call it."""

import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow_server import Server

pytestmark = [pytest.mark.slow]
DOCKER = Path(__file__).parents[2] / "docker"
VALUES = yaml.safe_load((DOCKER / "mlflow_values.yaml").read_text())
SECRETS = {"mlflow_password": "of-the-tests", "mlflow_session_key": "key of the tests"}
PASSED_ON = {"backendStoreUri": "MLFLOW_BACKEND_STORE_URI", "artifactsDestination": "MLFLOW_ARTIFACTS_DESTINATION"}


def environment(folder: Path) -> dict[str, str]:
    """What the chart makes of the values for its container, with the volume in a folder."""
    made = {PASSED_ON[key]: value.replace("/mlflow/", f"{folder}/") for key, value in VALUES["mlflow"].items()}
    for entry in VALUES["env"]:
        made[entry["name"]] = entry.get("value") or SECRETS[entry["valueFrom"]["secretKeyRef"]["key"]]
    shared = yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text())
    config = next(manifest for manifest in shared if manifest["metadata"]["name"] == "mlflow-auth")["data"]
    file = folder / Path(made["MLFLOW_AUTH_CONFIG_PATH"]).name
    file.write_text(config[file.name].replace("/mlflow/", f"{folder}/"))
    return {**made, "MLFLOW_AUTH_CONFIG_PATH": str(file)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mlflow")
    options = VALUES["server"]["value_options"]
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    running = Server(["server", *arguments], folder / "server.log", environment(folder))
    yield running
    running.kill()


def asked(server: Server, host: str, password: str | None) -> int:
    """The status with which the server answers somebody who calls it by this name."""
    request = urllib.request.Request(f"{server.uri}/api/2.0/mlflow/experiments/search?max_results=1")
    request.add_header("Host", host)
    if password is not None:
        request.add_header("Authorization", f"Basic {b64encode(f'eig-tune:{password}'.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_it_lets_in_who_knows_the_password_and_calls_it_by_its_name(server: Server) -> None:
    password = SECRETS["mlflow_password"]
    assert asked(server, "mlflow:5000", password) == 200
    assert asked(server, "mlflow:5000", "another") == 401
    assert asked(server, "mlflow:5000", None) == 401
    assert asked(server, "elsewhere.example.org", password) == 403


def test_runs_and_artifacts_are_kept(server: Server, monkeypatch: Any) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "eig-tune")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRETS["mlflow_password"])
    client = MlflowClient(server.uri)
    run = client.create_run(client.create_experiment("kept")).info.run_id
    client.log_text(run, "something", "note.txt")
    assert [file.path for file in client.list_artifacts(run)] == ["note.txt"]
