"""MLflow's runs of a search's trials are complete whenever the search was killed: tags, pictures, checkpoints."""

import shutil
from collections.abc import Callable, Container, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from eig_tune.cluster.storage import Storage
from eig_tune.config.space import parse_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import CONTINUE, Decision, Report, Trial
from eig_tune.reports.mlflow_runs import MlflowRuns, needed_checkpoints
from eig_tune.tracking import SearchTracker, Store, open_store

SPEC = parse_spec(
    {
        "dataset": {"name": "digits"},
        "train": {"steps": 1500, "report_every": 250},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "trials": 4,
    },
    "test",
)
DEAD: dict[str, Any] = {"discriminator_loss": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one database for all tests, since making it takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def store(folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("eig_tune.reports.mlflow_runs.draw_trial", lambda *arguments: None)
    monkeypatch.setattr("eig_tune.training.checkpoint.write_weights", lambda *arguments: None)
    monkeypatch.setattr("eig_tune.reports.mlflow_runs._PICTURE_EVERY_SECONDS", 0.0)
    return open_store(f"sqlite:///{folder}/mlflow.db", request.node.name, folder)


class Search:
    """An engine that a test drives, with MLflow's runs as its only observer; a checkpoint is only a picture."""

    def __init__(
        self, store: Store, folder: Path, kept: Callable[[Iterable[Trial]], Container[int]] = lambda finished: ()
    ) -> None:
        self._folder = folder
        self._event_log = EventLog(folder / "events.jsonl")
        self._tracker = SearchTracker(store, "search", "1" * 32, {}, {})
        self.mlflow_runs = MlflowRuns(
            self._tracker, Storage(str(folder)), (), SPEC.method, SPEC.rungs(), objectives=SPEC.objectives, kept=kept
        )
        self.engine = Engine(SearchPolicy(SPEC), self._event_log, [self.mlflow_runs])
        self.mlflow_runs.catch_up(self._event_log.trials)

    def train(self, number: int, *steps: int, nmi: float, picture: bool = True, **others: float) -> None:
        for step in steps:
            self.engine.report(number, step, {"nmi": nmi, "prior_rmse": 0.1, **others})
            checkpoint = self._folder / f"{number}-{step}"
            checkpoint.mkdir()
            if picture:
                Image.new("L", (40, 20), step // 10).save(checkpoint / "samples.png")
            if (older := self.engine.checkpointed(number, str(checkpoint), step)) is not None:
                shutil.rmtree(older)
        self.engine.carry_out(number)

    def close(self) -> list[str]:
        self._tracker.close("FINISHED", {})
        self._event_log.__exit__(None, None, None)
        return self._tracker.errors


def runs(store: Store, condition: str = "") -> dict[str, Any]:
    found = store.client.search_runs([store.experiment_id], f"tags.`eig_tune.kind` = 'trial' {condition}")
    return {run.data.tags["eig_tune.trial"]: run for run in found}


def pictures(store: Store, number: int, folder: Path) -> dict[int, list[int]]:
    """Step to the grey values of the pictures that the trial has of it."""
    folder.mkdir(exist_ok=True)
    local = Path(store.client.download_artifacts(runs(store)[str(number)].info.run_id, "images", str(folder)))
    seen: dict[int, list[int]] = {}
    for file in sorted(local.glob("*.png")):
        name, _, step, *_ = file.name.split("+")
        assert name == "samples" and file.with_name(f"{file.stem}+compressed.webp").is_file()
        grey = Image.open(BytesIO(file.read_bytes())).getpixel((0, 0))
        assert isinstance(grey, int)
        seen.setdefault(int(step), []).append(grey)
    return seen


def test_there_is_a_picture_of_every_checkpoint_although_checkpoints_are_deleted(store: Store, tmp_path: Path) -> None:
    search = Search(store, tmp_path)
    search.engine.propose("ray")
    search.train(0, 250, 500, 750, nmi=0.5)
    assert search.close() == []
    assert pictures(store, 0, tmp_path / "got") == {250: [25], 500: [50], 750: [75]}


def test_resume_loses_no_picture_of_a_checkpoint_that_is_there(store: Store, tmp_path: Path) -> None:
    """Killed before anything was written, then again after everything was: the UI takes one picture a step."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        Engine(SearchPolicy(SPEC), event_log).propose()
        event_log.report(0, 250, {"nmi": 0.5, "prior_rmse": 0.1}, CONTINUE)
        (tmp_path / "0-250").mkdir()
        Image.new("L", (40, 20), 25).save(tmp_path / "0-250" / "samples.png")
        event_log.checkpoint(0, str(tmp_path / "0-250"), 250)
    for killed in range(2):
        assert Search(store, tmp_path).close() == []
        assert set(pictures(store, 0, tmp_path / f"got{killed}")[250]) == {25}
    search = Search(store, tmp_path)
    search.train(0, 500, nmi=0.5)
    search.close()
    assert set(pictures(store, 0, tmp_path / "got")) == {250, 500}


def test_checkpoint_without_a_picture_stops_nothing(store: Store, tmp_path: Path) -> None:
    search = Search(store, tmp_path)
    search.engine.propose("ray")
    search.train(0, 250, 500, nmi=0.5, picture=False)
    assert search.close() == []
    assert runs(store)["0"].data.metrics["nmi"] == 0.5


def test_ended_trials_are_found_by_status_and_rung(store: Store, tmp_path: Path) -> None:
    search = Search(store, tmp_path)
    for _ in range(4):
        search.engine.propose("ray")
    search.train(0, 500, 1500, nmi=0.5)
    search.train(1, 500, nmi=0.1)
    search.train(2, 500, nmi=0.9, **DEAD)
    search.engine.fail(3, "the worker was lost")
    assert search.engine.propose() is None, "no trial is left after which trial 1 could be promoted"
    assert search.close() == []
    assert set(runs(store, "and tags.status = 'stopped' and tags.rung = '500'")) == {"1"}
    tags = {number: run.data.tags for number, run in runs(store).items()}
    assert {n: (t["status"], t.get("rung"), t["step"], t["method"]) for n, t in tags.items()} == {
        "0": ("finished", "500", "1500", "elastic-infogan"),
        "1": ("stopped", "500", "500", "elastic-infogan"),
        "2": ("collapsed", None, "500", "elastic-infogan"),
        "3": ("failed", None, "0", "elastic-infogan"),
    }
    assert "rung 500" in tags["1"]["stop_reason"] and tags["3"]["stop_reason"] == "the worker was lost"
    assert {number: run.info.status for number, run in runs(store).items()} == {
        "0": "FINISHED", "1": "FINISHED", "2": "FAILED", "3": "FAILED"
    }, "the UI shows KILLED in red, and to be stopped early is no fault"  # fmt: skip
    names = [run.info.run_name.rpartition(" · ")[0] for _, run in sorted(runs(store).items())]
    assert names == [
        "nmi 0.500, prior_rmse 0.100 · trial 0",
        "nmi 0.100, prior_rmse 0.100 · stopped at 500 · trial 1",
        "nmi 0.900, prior_rmse 0.100 · collapsed at 500 · trial 2",
        "failed · trial 3",
    ]
    notes = {number: of["mlflow.note.content"] for number, of in tags.items()}
    assert "finished at step 1,500: **nmi 0.500, prior_rmse 0.100**." in notes["0"]
    assert f"![samples.png](get-artifact?path=samples.png&run_uuid={runs(store)['0'].info.run_id})" in notes["0"]
    assert f"stopped at step 500: **nmi 0.100, prior_rmse 0.100**.\n\n`{tags['1']['stop_reason']}`" in notes["1"]
    assert "failed.\n\n`the worker was lost`" in notes["3"] and "samples.png" not in notes["3"]


def test_running_trial_has_a_description_too(store: Store, tmp_path: Path) -> None:
    search = Search(store, tmp_path)
    search.engine.propose("ray")
    assert search.close() == []
    (parent,) = store.client.search_runs([store.experiment_id], "tags.`eig_tune.kind` = 'search'")
    note = runs(store)["0"].data.tags["mlflow.note.content"]
    assert f"of [this search](#/experiments/{store.experiment_id}/runs/{parent.info.run_id}) has not ended yet" in note


def test_paused_and_training_trials_have_different_tags(store: Store, tmp_path: Path) -> None:
    """MLflow itself has no status for a paused run: it says RUNNING."""

    def status() -> dict[str, str | None]:
        assert search.close() == []
        return {number: run.data.tags.get("status") for number, run in runs(store).items()}

    search = Search(store, tmp_path)
    for number, nmi in ((0, 0.5), (1, 0.1)):
        search.engine.propose("ray")
        search.train(number, 500, nmi=nmi)
    search.engine.propose("ray")
    search.train(2, 250, nmi=0.3)
    assert status() == {"0": "paused", "1": "paused", "2": None}
    search = Search(store, tmp_path)
    search.engine.propose("ray")
    search.train(2, 500, nmi=0.3)
    assert search.engine.propose("ray") is search.engine.state.trials[0]
    assert status() == {"0": "running", "1": "paused", "2": "paused"}, "before its next report"


def test_trial_that_trained_when_the_search_was_stopped_is_interrupted_until_it_goes_on(
    store: Store, tmp_path: Path
) -> None:
    def status() -> str:
        assert search.close() == []
        return str(runs(store)["0"].data.tags.get("status"))

    search = Search(store, tmp_path)
    search.engine.propose()
    search.train(0, 250, nmi=0.5)
    search.mlflow_runs.mark_interrupted(search.engine.state.trials.values())
    assert status() == "interrupted"
    search = Search(store, tmp_path)
    search.engine.propose()
    assert status() == "running"


def test_promoted_trial_of_a_killed_search_is_interrupted_and_not_paused(store: Store, tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(SPEC), event_log)
        for number in range(4):
            engine.propose()
            engine.report(number, 500, {"nmi": 0.1 * number, "prior_rmse": 0.1})
        assert event_log.trials[2].decision.status == "running", "it is among the best of its rung at once"
        engine.carry_out(1)
        engine.carry_out(0)
        for step in (750, 1000, 1500):
            engine.report(2, step, {"nmi": 0.5, "prior_rmse": 0.1})
        engine.fail(2, "the worker was lost")
        engine.fail(3, "the worker was lost")
        assert engine.propose() is event_log.trials[1]
        engine.report(1, 750, {"nmi": 0.5, "prior_rmse": 0.1})
    search = Search(store, tmp_path)
    assert search.close() == []
    assert {number: run.data.tags["status"] for number, run in runs(store).items()} == {
        "0": "stopped", "1": "interrupted", "2": "failed", "3": "failed"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "last", "rung"),
    [((), "running", None), ((250,), "running", None), ((250, 500), "stopped", 500), ((600, 4700), "finished", 4500)],
)
def test_rung_is_the_highest_that_was_entered(steps: tuple[int, ...], last: Any, rung: int | None) -> None:
    reports = {step: Report(step, {}, 0.0, CONTINUE if step < max(steps) else Decision(last)) for step in steps}
    assert Trial(0, {}, 0.0, reports=reports).rung((500, 1500, 4500)) == rung


def test_fast_trial_makes_no_more_pictures_than_can_be_sent_and_always_its_last(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eig_tune.reports.mlflow_runs._PICTURE_EVERY_SECONDS", 60.0)
    search = Search(store, tmp_path)
    search.engine.propose("ray")
    search.train(0, 250, 500, 750, 1500, nmi=0.5)
    assert search.close() == []
    assert set(pictures(store, 0, tmp_path)) == {250, 1500}


def test_checkpoint_of_an_ended_trial_stays_until_mlflow_has_everything(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture cannot be drawn, as on a full disk: the trial has not ended for MLflow, and a resume draws it."""

    def full(checkpoint: Path, *arguments: Any) -> None:
        if checkpoint.name == "1-500":
            raise OSError("No space left on device")

    search = Search(store, tmp_path)
    for _ in range(3):
        search.engine.propose("ray")
    search.train(0, 500, 1500, nmi=0.5)
    with monkeypatch.context() as patch:
        patch.setattr("eig_tune.reports.mlflow_runs.draw_trial", full)
        search.train(1, 500, nmi=0.1, **DEAD)
        search.train(2, 250, nmi=0.5)
        assert search.close() == ["trial 1: MLflow has no pictures of it (No space left on device)"]
    assert set(runs(store, "and tags.`eig_tune.ended` != ''")) == {"0"}
    assert sorted(folder.name for folder in tmp_path.glob("*-*")) == ["1-500", "2-250"]
    with EventLog(tmp_path / "events.jsonl") as event_log:
        needed = needed_checkpoints(event_log.trials.values(), {"0"})
    assert {Path(location).name for location in needed} == {"1-500", "2-250"}
    assert Search(store, tmp_path).close() == []
    assert set(runs(store, "and tags.`eig_tune.ended` != ''")) == {"0", "1"}
    assert [folder.name for folder in tmp_path.glob("*-*")] == ["2-250"]


def test_checkpoints_of_the_best_are_kept_until_there_are_better_ones(store: Store, tmp_path: Path) -> None:
    kept: set[int] = set()
    search = Search(store, tmp_path, lambda finished: kept)
    for number, better in enumerate(({0}, {0, 1}, {1, 2})):
        search.engine.propose("ray")
        kept = better
        search.train(number, 500, 1500, nmi=0.5)
    search.engine.propose("ray")
    search.train(3, 500, nmi=0.1, **DEAD)
    assert search.close() == []
    assert sorted(folder.name for folder in tmp_path.glob("*-*")) == ["1-1500", "2-1500"], "it has not finished"
    with EventLog(tmp_path / "events.jsonl") as event_log:
        needed = needed_checkpoints(event_log.trials.values(), set("0123"), {1, 2})
    assert {Path(location).name for location in needed} == {"1-1500", "2-1500"}
