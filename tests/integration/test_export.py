"""From a search on a real MLflow server to a model on another machine: exported, registered, loaded, served."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient
from mlflow_server import MlflowServer, ModelServer, free_port
from numpy.typing import NDArray
from PIL import Image

from eig_tune.data.batches import to_unit_range
from eig_tune.errors import CheckpointError
from eig_tune.evaluation import metrics
from eig_tune.export import open_bundle, read_bundle
from eig_tune.reports.mlflow_runs import MODEL_FOLDER
from eig_tune.tracking import OBJECTIVES_TAG, SearchTracker, open_store
from eig_tune.tracking.registry import add_version
from eig_tune.training import TrainConfig, checkpoint
from eig_tune.training.loop import TrialData, fit

pytestmark = pytest.mark.slow
EIG_TUNE = Path(sys.executable).with_name("eig-tune")
CONFIRMED = {"confirmed.nmi": 0.5, "confirmed.prior_rmse": 0.2, "confirmed.seeds": 2.0}
REACHED = {"nmi": 0.6, "prior_rmse": 0.1, **CONFIRMED, "confirmed_std.nmi": 0.01, "confirmed_std.prior_rmse": 0.02}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = MlflowServer(tmp_path_factory.mktemp("server"))
    yield server.uri
    server.kill()


@pytest.fixture(scope="module")
def images(trial_data: TrialData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The held-out digits as PNG files."""
    folder = tmp_path_factory.mktemp("images")
    for index, pixels in enumerate(trial_data.images.held_out.pixels):
        Image.fromarray(pixels[0]).save(folder / f"{index:04}.png")
    return folder


@pytest.fixture(scope="module")
def found(
    uri: str, tiny_config: TrainConfig, trial_data: TrialData, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, float]:
    """A search of one confirmed trial on the server; the trial's own metrics."""
    folder = tmp_path_factory.mktemp("trained")
    *_, last = fit(tiny_config, trial_data, device=torch.device("cpu"))
    last.save(folder)
    reached = {**last.metrics(), **REACHED}
    tags = {OBJECTIVES_TAG: json.dumps({"nmi": "maximize", "prior_rmse": "minimize"})}
    tracker = SearchTracker(open_store(uri, "digits", folder), "search", uuid4().hex, {"data_sha256": "d1"}, tags)
    tracker.start_run("0", "trial 0", {"lambda_1": 0.5}, at=1000.0)
    tracker.log_metrics("0", last.step, reached, at=1001.0)
    tracker.log_artifacts("0", lambda to: checkpoint.write_weights(folder, to), MODEL_FOLDER)
    tracker.end_run(
        "0", "FINISHED", {"status": "finished", "stop_reason": "full budget", "confirmation": "complete"}, at=2000.0
    )
    tracker.close("FINISHED", {"front": "0"})
    assert tracker.errors == []
    return reached


def eig_tune(*arguments: object, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [EIG_TUNE, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False, cwd=cwd
    )


@pytest.fixture(scope="module")
def taken(uri: str, found: dict[str, float], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which `best` has exported and registered the trial, knowing the server alone."""
    folder = tmp_path_factory.mktemp("elsewhere")
    arguments = ["best", "--tracking-uri", uri, "--export", folder / "model", "--register", "found", "--json"]
    done = eig_tune(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["registered"] == {"name": "found", "version": 1, "champion": True}
    assert "registered: version 1 of found\nversion 1 is the champion of found now" in done.stderr
    assert [file.name for file in folder.iterdir()] == ["model"], "best has left something behind"
    return folder / "model"


@pytest.fixture
def loaded(uri: str, taken: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import mlflow.pyfunc

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return mlflow.pyfunc.load_model("models:/found@champion")


def probabilities(bundle: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    _, model = read_bundle(bundle)
    found: NDArray[np.float32] = model.category_logits(to_unit_range(torch.tensor(pixels))).softmax(dim=1).numpy()
    return found


def rows_of(done: "subprocess.CompletedProcess[str]") -> list[dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(done.stdout.splitlines()))


def test_same_trial_is_registered_once(uri: str, taken: Path, tmp_path: Path) -> None:
    done = eig_tune("best", "--tracking-uri", uri, "--register", "found", "--by", "prior_rmse", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["registered"] == {"name": "found", "version": 1, "champion": True}
    assert "this trial is registered already: version 1 of found" in done.stderr


def test_version_carries_where_it_came_from_and_what_it_has_reached(
    uri: str, taken: Path, found: dict[str, float], tmp_path: Path
) -> None:
    client = open_store(uri, "digits", tmp_path).client
    version = client.get_model_version_by_alias("found", "champion")
    run = client.get_run(version.run_id)
    assert version.tags["run_id"] == version.run_id
    assert {key: version.tags[key] for key in ("search", "trial", "data_sha256")} == {
        "search": "digits", "trial": "0", "data_sha256": "d1"
    }  # fmt: skip
    assert all(float(version.tags[name]) == found[name] for name in [*REACHED, "nmi_real"])
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", 1_000_000, 2_000_000)


def test_predictions_reproduce_the_metrics_of_the_bundle(
    taken: Path, images: Path, trial_data: TrialData, tmp_path: Path
) -> None:
    rows = rows_of(eig_tune("predict", taken, images))
    labels = trial_data.images.held_out.labels
    assert labels is not None
    table = metrics.category_table(np.array([int(row["category"]) for row in rows]), labels, (10, 10))
    assert metrics.nmi(table) == pytest.approx(json.loads((taken / "metrics.json").read_text())["found"]["nmi_real"])


def test_registered_model_predicts_and_samples_as_its_folder(
    uri: str, taken: Path, images: Path, tmp_path: Path
) -> None:
    expected = eig_tune("predict", taken, images, cwd=tmp_path)
    for model in ("models:/found@champion", "models:/found/1"):
        assert rows_of(eig_tune("predict", model, images, "--tracking-uri", uri, cwd=tmp_path)) == rows_of(expected)
    eig_tune("sample", taken, "--out", tmp_path / "folder.npz")
    eig_tune("sample", "models:/found@champion", "--out", tmp_path / "model.npz", "--tracking-uri", uri, cwd=tmp_path)
    with np.load(tmp_path / "folder.npz") as drawn, np.load(tmp_path / "model.npz") as again:
        assert np.array_equal(drawn["images"], again["images"])
    assert {file.name for file in tmp_path.iterdir()} == {"folder.npz", "model.npz"}


@pytest.mark.parametrize(
    ("model", "expected"), [("models:/none@champion", "there is no model 'none'"), ("models:/found/9", "no version 9")]
)
def test_model_that_is_not_there_is_one_line_and_exit_code_2(
    uri: str, taken: Path, images: Path, model: str, expected: str
) -> None:
    done = eig_tune("predict", model, images, "--tracking-uri", uri)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr and done.stderr.count("\n") == 1


def test_trial_without_a_model_is_one_line_and_exit_code_2(uri: str, tmp_path: Path) -> None:
    tags = {OBJECTIVES_TAG: json.dumps({"nmi": "maximize"})}
    tracker = SearchTracker(open_store(uri, "modelless", tmp_path), "search", uuid4().hex, {"data_sha256": "d1"}, tags)
    tracker.start_run("0", "trial 0", {"lambda_1": 0.5}, at=1000.0)
    tracker.log_metrics("0", 100, {"nmi": 0.5}, at=1001.0)
    tracker.end_run("0", "FINISHED", {"status": "finished", "stop_reason": "full budget"}, at=2000.0)
    tracker.close("FINISHED", {"front": "0"})
    done = eig_tune("best", "--name", "modelless", "--tracking-uri", uri, "--export", tmp_path / "model")
    assert done.returncode == 2, done.stdout
    assert "eig-tune: trial 0 of 'modelless' has no model in run " in done.stderr, done.stderr
    assert not (tmp_path / "model").exists()


def test_changed_model_in_the_registry_is_refused_as_a_folder_is(uri: str, taken: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(taken, tmp_path / "bundle")
    raw = (changed / "weights.safetensors").read_bytes()
    (changed / "weights.safetensors").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    store = open_store(uri, "digits", tmp_path)
    run_id = store.client.get_model_version("found", "1").run_id
    add_version(store, "changed", run_id, changed, np.zeros((1, 1, 16, 16), dtype=np.uint8), {})
    with pytest.raises(CheckpointError, match=r"^models:/changed/1: 'weights\.safetensors' is missing"):
        open_bundle("models:/changed/1", uri)


def test_loaded_model_agrees_with_the_bundle(loaded: Any, taken: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(300, 1, 16, 16), dtype=np.uint8)
    found, q_NK = loaded.predict(pixels), probabilities(taken, pixels)
    assert list(found) == ["category", "probability", "entropy"]
    assert np.abs(found["probability"] - q_NK.max(axis=1)).max() < 1e-4
    assert np.abs(found["entropy"] + (q_NK * np.log(q_NK)).sum(axis=1)).max() < 1e-4
    assert np.abs(q_NK[np.arange(300), found["category"]] - q_NK.max(axis=1)).max() < 1e-4
    assert len(loaded.predict(pixels[:0])) == 0
    assert len(loaded.predict(loaded.input_example)) == 1


def test_model_loads_where_neither_eig_tune_nor_torch_is_installed(uri: str, taken: Path) -> None:
    program = (
        "import sys; sys.modules['eig_tune'] = sys.modules['torch'] = None\n"
        f"import mlflow, numpy; mlflow.set_tracking_uri({uri!r})\n"
        "model = mlflow.pyfunc.load_model('models:/found@champion')\n"
        "print(len(model.predict(numpy.zeros((3, 1, 16, 16), 'uint8'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split()[-1:] == ["3"], done.stderr


def test_model_is_served(uri: str, taken: Path, tmp_path: Path) -> None:
    """Whole numbers, whatever JSON makes of them; numbers from 0 to 1, which MLflow would cast to 0, are refused."""
    pixels = np.random.default_rng(0).integers(256, size=(5, 1, 16, 16), dtype=np.uint8)
    server = ModelServer("models:/found@champion", uri, tmp_path / "serve.log")
    try:
        rows = answered(server, pixels)
        assert answered(server, pixels.astype(float)) == rows
        with pytest.raises(urllib.error.HTTPError) as refused:
            answered(server, pixels / 255)
        assert refused.value.code == 400
        said = json.load(refused.value)["message"]
        assert "got values from 0 to 1; images are [N, 1, 16, 16], whole numbers from 0 to 255" in said
    finally:
        server.kill()
    q_NK = probabilities(taken, pixels)
    assert [row["category"] for row in rows] == q_NK.argmax(axis=1).tolist()
    assert np.abs(np.array([row["probability"] for row in rows]) - q_NK.max(axis=1)).max() < 1e-4


def test_ui_of_a_server_is_its_own_and_the_address_of_the_trials_is_printed(uri: str, taken: Path) -> None:
    done = eig_tune("ui", "digits", "--tracking-uri", uri)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"{uri}/#/experiments/\d+/runs\?workflowType=machine_learning&viewStateShareKey=\w+\n", done.stdout
    )


def test_request_in_the_description_of_a_version_works_pasted_into_a_shell(
    uri: str, taken: Path, tmp_path: Path
) -> None:
    (version,) = MlflowClient(uri).search_model_versions("name = 'found'")
    assert version.description.startswith("# elastic-infogan") and "## How good it is" in version.description
    (commands,) = re.findall(r"```\n(.*?)\n```", version.description, re.DOTALL)
    environment = {**os.environ, "PATH": f"{EIG_TUNE.parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(
        ["bash", "-mc", commands.replace("5001", str(free_port()))],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert '{"predictions": [{"category": ' in done.stdout, done.stderr


def answered(server: ModelServer, images: NDArray[Any]) -> Any:
    """What the server says about images."""
    body, header = json.dumps({"inputs": images.tolist()}).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{server.uri}/invocations", body, header), timeout=60
    ) as answer:
        return json.load(answer)["predictions"]
