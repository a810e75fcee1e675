"""The model of every trial that can be chosen is in MLflow, whole, before its checkpoint is deleted."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import torch
from mlflow.tracking import MlflowClient
from safetensors.torch import load_file
from typer.testing import CliRunner

from eig_tune.cli.app import app
from eig_tune.cluster.storage import Storage
from eig_tune.errors import EigTuneError
from eig_tune.evaluation.record import EVALUATION_FILE
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import FixedRuns
from eig_tune.reports.mlflow_runs import MODEL_FOLDER, MlflowRuns
from eig_tune.tracking import OBJECTIVES_TAG, SearchTracker, Store, open_store, read_search
from eig_tune.training import TrainConfig, checkpoint

TWO = {"nmi": "maximize", "prior_rmse": "minimize"}
REACHED = {"nmi": 0.9, "prior_rmse": 0.1}
DOMINATED = {"nmi": 0.5, "prior_rmse": 0.3}
STEPS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one database for all tests, since making it takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def store(folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("eig_tune.reports.mlflow_runs.draw_trial", lambda *arguments: None)
    return open_store(f"sqlite:///{folder}/mlflow.db", request.node.name, folder)


def id_of(store: Store) -> str:
    return store.experiment_id.rjust(32, "0")


def reopened(store: Store, folder: Path) -> Store:
    """The store as a resume opens it."""
    return open_store(store.uri, store.name, folder, resumed=id_of(store))


class Search:
    """Trials that a test ends, their checkpoints of weights and an optimiser's moments."""

    def __init__(
        self, store: Store, folder: Path, trials: int = 3, runs: Sequence[dict[str, int]] = (), **mlflow_runs: Any
    ) -> None:
        self._folder, self._store = folder, store
        self._event_log = EventLog(folder / "events.jsonl")
        self.tracker = SearchTracker(store, "search", id_of(store), {}, {OBJECTIVES_TAG: '{"nmi": "maximize"}'})
        runs = runs or [{"trial": trial, "seed": 0} for trial in range(trials)]
        known = [trial.params for trial in self._event_log.trials.values()]
        to = MlflowRuns(self.tracker, Storage(str(folder)), (), "elastic-infogan", **(mlflow_runs or {"models": True}))
        self.engine = Engine(FixedRuns(runs, lambda params: STEPS, TWO, known), self._event_log, [to])
        to.catch_up(self._event_log.trials)

    def train(self, config: TrainConfig, *reached: dict[str, float]) -> None:
        for metrics in reached:
            trial = self.engine.propose("ray")
            assert trial is not None
            self.engine.report(trial.number, STEPS, metrics)
            tensors = {"generator.w": torch.full((3, 5), float(trial.number)), "optimizer.g.0.step": torch.ones(1)}
            where = self._folder / f"checkpoint-{trial.number}"
            checkpoint.save(where, tensors, checkpoint.RunRecord(config, STEPS, 16, 1, ()))
            (where / EVALUATION_FILE).write_text("{}")
            self.engine.checkpointed(trial.number, str(where), STEPS)
            self.engine.carry_out(trial.number)

    def close(self) -> list[str]:
        self.tracker.close("FINISHED", {})
        self._event_log.__exit__(None, None, None)
        return self.tracker.errors

    def models(self, to: Path) -> dict[str, float]:
        """Run to the weight that its model in MLflow has, without what only training needs."""
        runs = self._store.client.search_runs([self._store.experiment_id], "tags.`eig_tune.trial` != ''")
        found = {}
        for run in runs:
            if any(artifact.path == MODEL_FOLDER for artifact in self._store.client.list_artifacts(run.info.run_id)):
                local = self._store.client.download_artifacts(run.info.run_id, MODEL_FOLDER, str(to))
                tensors = load_file(Path(local, checkpoint.TENSORS_FILE))
                assert list(tensors) == ["generator.w"]
                found[run.data.tags["eig_tune.trial"]] = float(tensors["generator.w"][0, 0])
        return found

    def checkpoints(self) -> list[str]:
        return sorted(folder.name for folder in self._folder.glob("checkpoint-*"))


def test_every_finished_trial_has_its_model_dominated_ones_too(
    store: Store, tmp_path: Path, tiny_config: TrainConfig
) -> None:
    """A dominated trial can be among those that are confirmed, and be the best of them."""
    search = Search(store, tmp_path)
    search.train(tiny_config, REACHED, DOMINATED, {"nmi": float("nan"), "prior_rmse": 0.1})
    assert search.close() == []
    assert search.models(tmp_path) == {"0": 0.0, "1": 1.0}
    assert search.checkpoints() == []


@pytest.mark.parametrize("mlflow_runs", [{"confirming": True}, {"models": False}])
def test_second_seeds_and_cells_of_a_comparison_keep_no_models(
    store: Store, tmp_path: Path, tiny_config: TrainConfig, mlflow_runs: dict[str, Any]
) -> None:
    search = Search(store, tmp_path, **mlflow_runs)
    search.train(tiny_config, REACHED, REACHED)
    search.close()
    assert search.models(tmp_path) == {}


def test_confirmations_on_the_searchs_own_images_keep_their_models(
    store: Store, tmp_path: Path, tiny_config: TrainConfig
) -> None:
    """One of them may be the best; a model of other images is not what is taken home."""
    runs = [{"trial": 0, "seed": 0}, {"trial": 0, "seed": 0, "split": 2}]
    search = Search(store, tmp_path, runs=runs, models=True, confirming=True)
    search.tracker.start_run("0", "the trial itself", {}, at=1.0)
    search.train(tiny_config, REACHED, REACHED)
    assert search.close() == []
    assert search.models(tmp_path) == {"0.0": 0.0} and search.checkpoints() == []


def cut_short(upload: Callable[..., None]) -> Callable[..., None]:
    """An artifact store that loses the end of every file in a folder, as in a crash."""

    def log(self: MlflowClient, run_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        upload(self, run_id, local_dir, artifact_path)
        if artifact_path == MODEL_FOLDER:
            at = Path(unquote(self.get_run(run_id).info.artifact_uri.removeprefix("file://")), artifact_path)
            for file in at.iterdir():
                file.write_bytes(file.read_bytes()[:-1])

    return log


def lost(upload: Callable[..., None]) -> Callable[..., None]:
    """An artifact store that takes everything and keeps nothing."""
    return lambda *arguments: None


@pytest.mark.parametrize("fault", [cut_short, lost])
def test_checkpoint_stays_until_mlflow_has_the_whole_model(
    store: Store, tmp_path: Path, tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifacts", fault(MlflowClient.log_artifacts))
        search = Search(store, tmp_path)
        search.train(tiny_config, REACHED)
        (error,) = search.close()
        assert "of its artifact model/" in error
    assert search.checkpoints() == ["checkpoint-0"]
    again = Search(store, tmp_path)
    assert again.close() == []
    assert again.models(tmp_path) == {"0": 0.0} and again.checkpoints() == []


def test_upload_that_a_kill_has_cut_short_is_done_again(store: Store, tmp_path: Path, tiny_config: TrainConfig) -> None:
    """Some bytes of the model are in MLflow, its run has not ended there, and the checkpoint is there."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(FixedRuns([{"trial": 0, "seed": 0}], lambda params: STEPS, TWO, ()), event_log)
        engine.propose("ray")
        engine.report(0, STEPS, REACHED)
        where = tmp_path / "checkpoint-0"
        checkpoint.save(where, {"generator.w": torch.zeros(3, 5)}, checkpoint.RunRecord(tiny_config, STEPS, 16, 1, ()))
        engine.checkpointed(0, str(where), STEPS)
        engine.carry_out(0)
    tracker = SearchTracker(store, "search", id_of(store), {}, {OBJECTIVES_TAG: '{"nmi": "maximize"}'})
    tracker.start_run("0", "trial 0", {}, at=1.0)
    tracker.log_artifacts("0", lambda to: (to / checkpoint.TENSORS_FILE).write_bytes(b"cut"), MODEL_FOLDER)
    tracker.close("KILLED", {})
    search = Search(store, tmp_path)
    assert search.close() == []
    assert search.models(tmp_path) == {"0": 0.0} and search.checkpoints() == []


def run_of(store: Store, number: int) -> str:
    """The id of a trial's run."""
    (trial,) = [trial for trial in read_search(store.uri, store.name).trials if trial.number == number]
    return trial.run_id


def test_run_deleted_in_mlflow_comes_back_with_its_model(
    store: Store, tmp_path: Path, folder: Path, tiny_config: TrainConfig
) -> None:
    search = Search(store, tmp_path)
    search.train(tiny_config, REACHED, DOMINATED)
    search.close()
    store.client.delete_run(run_of(store, 0))
    resumed = Search(reopened(store, folder), tmp_path)
    assert resumed.close() == []
    assert resumed.models(tmp_path) == {"0": 0.0, "1": 1.0}


def test_model_that_is_gone_for_good_is_an_error(
    store: Store, tmp_path: Path, folder: Path, tiny_config: TrainConfig
) -> None:
    """`mlflow gc` has cleared the deleted run away, and there is no checkpoint any more to make another model of."""
    search = Search(store, tmp_path)
    search.train(tiny_config, REACHED, DOMINATED)
    search.close()
    deleted = run_of(store, 0)
    store.client.delete_run(deleted)
    store.client._tracking_client.store._hard_delete_run(deleted)
    resumed = Search(reopened(store, folder), tmp_path)
    assert any(error.startswith("trial 0: MLflow has no model of it (") for error in resumed.close())
    assert resumed.models(tmp_path) == {"1": 1.0}
    arguments = ["best", "--name", store.name, "--tracking-uri", store.uri]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert f"trial 0 of {store.name!r} has no model in run " in shown.stderr
    assert "`eig-tune search --resume` writes the rest" in shown.stderr
    refused = CliRunner().invoke(app, [*arguments, "--export", str(tmp_path / "model")])
    assert isinstance(refused.exception, EigTuneError) and "has no model in run " in str(refused.exception)


def test_trial_of_which_mlflow_lacks_an_objective_is_left_out_and_named(
    store: Store, tmp_path: Path, tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow has refused the metrics of one trial, and taken its end."""
    log_batch = MlflowClient.log_batch

    def refuse(self: MlflowClient, run_id: str, metrics: Any = (), *others: Any, **more: Any) -> None:
        if any(metric.value == 0.95 for metric in metrics):
            raise OSError("too large")
        log_batch(self, run_id, metrics, *others, **more)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", refuse)
        search = Search(store, tmp_path)
        search.train(tiny_config, {"nmi": 0.95, "prior_rmse": 0.1}, DOMINATED)
        assert search.close() == ["too large"]
    shown = CliRunner().invoke(app, ["best", "--name", store.name, "--tracking-uri", store.uri])
    assert shown.exit_code == 0, shown.exception
    assert ": trial 1, the only finished trial" in shown.stdout and "trial 0 is left out" in shown.stdout
