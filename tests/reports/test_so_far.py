"""The search's own run in MLflow says from the beginning on what it has come to, and shows the best trial's samples."""

from pathlib import Path

import pytest
from PIL import Image

from eig_tune.cluster.storage import Storage
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.trial import Decision, Report, Trial
from eig_tune.reports.so_far import BEST_SO_FAR, SoFar, best_so_far, describe_so_far
from eig_tune.tracking import SearchTracker, Store, open_store

TWO = {"nmi": "maximize", "prior_rmse": "minimize"}


def spec(**more: object) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 1500, "report_every": 250},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "objectives": TWO,
        "trials": 4,
        **more,
    }
    return parse_spec(document, "test")


def trial(number: int, status: str, **nmi_at: float) -> Trial:
    """A trial with an NMI at each step, given as ``_500=0.4``."""
    steps = {int(name[1:]): nmi for name, nmi in nmi_at.items()}
    reports = {step: Report(step, {"nmi": nmi, "prior_rmse": 0.1}, float(step)) for step, nmi in steps.items()}
    return Trial(number, {"lambda_1": 0.5}, 0.0, status, reports=reports)  # type: ignore[arg-type]


def test_best_is_a_finished_one_and_before_that_one_of_the_highest_rung() -> None:
    early, paused = trial(0, "running", _250=0.9), trial(1, "paused", _500=0.4)
    better = trial(2, "running", _500=0.3, _750=0.6)
    assert best_so_far([], spec()) is None and best_so_far([trial(0, "running")], spec()) is None
    assert best_so_far([early], spec()) is early
    assert best_so_far([early, paused, better], spec()) is better
    finished = trial(3, "finished", _1500=0.2)
    assert best_so_far([early, paused, better, finished], spec()) is finished


def test_collapsed_trial_is_never_the_best() -> None:
    collapsed = Trial(
        0, {}, 0.0, reports={500: Report(500, {"nmi": 1.0, "prior_rmse": 0.0}, 0.0, Decision("collapsed"))}
    )
    assert best_so_far([collapsed, trial(1, "running", _500=0.1)], spec()).number == 1  # type: ignore[union-attr]


def test_description_says_how_far_the_search_is() -> None:
    assert describe_so_far(spec(), [], None, "#/trials") == (
        "**Running: 0 of 4 trials have ended**. [All trials as a table](#/trials).\n"
    )
    trials = [trial(0, "running", _500=0.4), trial(1, "stopped", _500=0.1)]
    text = describe_so_far(spec(), trials, trials[0], "#/trials").replace("&emsp;", " ")
    assert "**Running: 1 of 4 trials have ended**: 1 running, 1 stopped. [All" in text
    assert "**Best so far: trial 0** (running at step 500): **nmi 0.400, prior_rmse 0.100**." in text
    assert "| lambda_1 |" in text and "| 0.5 |" in text
    bound = spec(constraints={"nmi": ">= 0.8"})
    assert "(running at step 500), which misses the constraints on nmi: " in describe_so_far(
        bound, trials, trials[0], ""
    )
    ended = [trial(n, "stopped", _500=0.1) for n in range(4)]
    assert "4 stopped; the best are being confirmed." in describe_so_far(spec(), ended, None, "")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("mlflow")
    return open_store(f"sqlite:///{folder}/mlflow.db", "running", folder)


def test_run_of_a_search_is_renewed_while_it_runs(store: Store, tmp_path: Path) -> None:
    """First a trial that trains, whose samples are copied; then one that has ended, which has its own."""
    tracker = SearchTracker(store, "search", "1" * 32, {}, {})
    so_far, trials = SoFar(tracker, Storage(str(tmp_path)), spec(), every=0.0), dict[int, Trial]()
    tracker.start_run("1", "trial 1", {}, at=1.0)
    so_far.catch_up(trials)
    trials[0] = trial(0, "running", _250=0.3, _500=0.4)
    (tmp_path / "500").mkdir()
    Image.new("L", (4, 4), 50).save(tmp_path / "500" / "samples.png")
    trials[0].checkpoint, trials[0].checkpoint_step = str(tmp_path / "500"), 500
    so_far.trial_checkpointed(trials[0])
    so_far.heartbeat()
    tracker.close("FINISHED", {})
    assert tracker.errors == []
    run = store.client.get_run(tracker.parent_id)
    address = f"get-artifact?path={BEST_SO_FAR}&run_uuid={tracker.parent_id}&of=0.500"
    assert f"![samples]({address})" in run.data.tags["mlflow.note.content"]
    assert (run.data.metrics["nmi"], run.data.metrics["prior_rmse"]) == (0.4, 0.1)
    assert [file.path for file in store.client.list_artifacts(tracker.parent_id)] == [BEST_SO_FAR]

    again = SearchTracker(store, "search", "1" * 32, {}, {})
    trials[1] = trial(1, "finished", _1500=0.35)
    SoFar(again, Storage(str(tmp_path)), spec()).catch_up(trials)
    again.close("FINISHED", {})
    assert again.errors == []
    run, (own,) = store.client.get_run(again.parent_id), store.trial_runs(again.parent_id)
    assert (
        f"![samples](get-artifact?path=samples.png&run_uuid={own.info.run_id})" in run.data.tags["mlflow.note.content"]
    )
    assert run.data.metrics["nmi"] == 0.35


def test_it_is_renewed_once_in_a_while_and_where_there_is_news(store: Store, tmp_path: Path) -> None:
    tracker = SearchTracker(store, "search", "2" * 32, {}, {})
    renewed: list[str] = []
    so_far = SoFar(tracker, Storage(str(tmp_path)), spec(), every=3600.0)
    so_far._renew = lambda: renewed.append("renewed")  # type: ignore[method-assign]
    so_far.catch_up({})
    so_far.trial_ended(trial(0, "stopped"))
    so_far.heartbeat()
    assert len(renewed) == 1, "not yet"
    so_far._every = 0.0
    so_far.heartbeat()
    so_far.heartbeat()
    assert len(renewed) == 2, "nothing has happened since"
    tracker.close("FINISHED", {})
