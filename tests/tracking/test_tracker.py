"""MLflow gets everything once, whatever happens to it or to the writing process."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow_server import MlflowServer

from eig_tune.tracking import RunsTable, SearchTracker, Store, open_store, read_search

MINE, ANOTHERS = "1" * 32, "2" * 32
OBJECTIVES = {"eig_tune.objectives": '{"nmi": "maximize"}'}


def tracker(store: Store) -> SearchTracker:
    return SearchTracker(store, "search", MINE, {"trials": 2}, OBJECTIVES)


def write_trial(to: SearchTracker, number: int, reports: int, seconds: float = 0.0) -> None:
    """A trial with a metric at every step from 1 to ``reports``, a picture and an end."""
    key = str(number)
    to.start_run(key, f"trial {number}", {"lambda_1": 0.5}, at=1000.0)
    for step in range(1, reports + 1):
        to.log_metrics(key, step, {"nmi": step / reports, "prior_rmse": 0.1}, at=1000.0 + step)
        time.sleep(seconds)
    to.log_artifacts(key, lambda folder: (folder / "samples.txt").write_text("seen"))
    to.end_run(key, "FINISHED", {"status": "finished", "stop_reason": "full budget"}, at=2000.0)


def assert_whole(store: Store, trials: int, reports: int) -> None:
    (parent,) = store.searches()
    runs = store.trial_runs(parent.info.run_id)
    assert Counter(run.data.tags["eig_tune.trial"] for run in runs) == {str(number): 1 for number in range(trials)}
    for run in runs:
        steps = [point.step for point in store.client.get_metric_history(run.info.run_id, "nmi")]
        assert sorted(steps) == list(range(1, reports + 1))
        assert [file.path for file in store.client.list_artifacts(run.info.run_id)] == ["samples.txt"]
        assert run.data.tags["status"] == "finished"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one database for all tests, since making it takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def local(folder: Path, request: pytest.FixtureRequest) -> Store:
    return open_store(f"sqlite:///{folder}/mlflow.db", request.node.name, folder)


def test_search_is_read_back(local: Store) -> None:
    to = tracker(local)
    for number in range(2):
        write_trial(to, number, reports=3)
    to.close("FINISHED", {"front": "0"})
    assert to.errors == []
    assert_whole(local, trials=2, reports=3)
    found = read_search(local.uri, local.name)
    assert [(trial.number, trial.params, trial.metrics["nmi"]) for trial in found.finished()] == [
        (number, {"lambda_1": 0.5}, 1.0) for number in range(2)
    ]


def test_ended_run_that_goes_on_is_over_when_it_has_ended_again(local: Store) -> None:
    first = tracker(local)
    first.start_run("0", "trial 0", {}, at=1000.0)
    first.end_run("0", "KILLED", {"status": "stopped"}, at=1500.0)
    first.close("FINISHED", {})
    second = tracker(local)
    assert second.ended == {"0"}
    second.reopen_run("0")
    second.set_tags("0", {"status": "running"})
    second.close("KILLED", {})
    third = tracker(local)
    assert third.ended == set(), "what is still to come of it would not be written"
    (run,) = local.trial_runs(third.parent_id)
    assert (run.info.status, run.data.tags["status"]) == ("RUNNING", "running")
    third.reopen_run("0")
    third.end_run("0", "FINISHED", {"status": "finished"}, at=2000.0)
    third.close("FINISHED", {})
    (run,) = local.trial_runs(third.parent_id)
    assert (run.info.status, run.data.tags["status"], third.ended) == ("FINISHED", "finished", {"0"})


def test_link_is_the_table_of_trials_on_the_server_or_where_ui_serves_a_file(local: Store) -> None:
    to = tracker(local)
    table = RunsTable(MINE, {"nmi": "maximize"}, ["lambda_1"])
    to.show_table(table)
    to.close("FINISHED", {})
    assert local.client.get_experiment(local.experiment_id).tags[table.tag] == table.state()
    key = table.tag.rpartition(".")[2]
    where = f"/#/experiments/{local.experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={key}"
    assert to.link == f"http://127.0.0.1:5000{where}"
    to._store = replace(local, uri="https://mlflow.example/")
    assert to.link == f"https://mlflow.example{where}"


def test_descriptions_are_made_when_their_runs_exist_and_the_newest_counts(local: Store) -> None:
    to = tracker(local)
    to.start_run("0", "trial 0", {}, at=1000.0)
    to.describe(lambda: "not this one", "0")
    to.describe(lambda: f"![samples]({to.run_page('0').address('samples.png')})", "0")
    to.describe(lambda: f"[samples]({to.run_page().page('samples.png')})")
    to.rename_run(None, "nmi 0.900 · mine")
    to.end_run("0", "FINISHED", {"status": "finished"}, at=2000.0, name="nmi 0.900 · trial 0")
    to.close("FINISHED", {})
    assert to.errors == []
    (parent,) = local.searches()
    (run,) = local.trial_runs(parent.info.run_id)
    assert run.info.run_name == run.data.tags["mlflow.runName"] == "nmi 0.900 · trial 0"
    assert (run.info.status, run.info.end_time, parent.info.run_name) == ("FINISHED", 2_000_000, "nmi 0.900 · mine")
    address = f"get-artifact?path=samples.png&run_uuid={run.info.run_id}"
    assert run.data.tags["mlflow.note.content"] == f"![samples]({address})"
    page = f"#/experiments/{local.experiment_id}/runs/{parent.info.run_id}/artifacts/samples.png"
    assert parent.data.tags["mlflow.note.content"] == f"[samples]({page})"


def test_params_keep_their_types(local: Store) -> None:
    """1e-05 has no point, and True and 0.0 are no numbers in every format that MLflow's text could be read as."""
    params = {"prior_lr": 1e-05, "tau": 0.0, "batch_size": 64, "straight_through": True, "distance": "nt_xent"}
    to = tracker(local)
    to.start_run("0", "trial 0", params, at=1000.0)
    to.close("FINISHED", {})
    (trial,) = read_search(local.uri, local.name).trials
    assert trial.params == params
    assert [type(trial.params[name]) for name in params] == [type(value) for value in params.values()]


def test_what_is_longer_than_mlflow_takes_is_cut(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client cuts some of it, but not the name of a run, which PostgreSQL refuses from 251 characters on."""
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    to = tracker(local)
    to.start_run("0", "trial 0 · " + "lambda_1=0.5 " * 100, {"distance": "x" * 9000}, at=1000.0)
    to.end_run("0", "FAILED", {"status": "failed", "stop_reason": "y" * 9000}, at=2000.0, name="nmi " * 100)
    to.describe(lambda: "z" * 9000)
    to.close("FINISHED", {})
    assert to.errors == []
    runs = local.client.search_runs([local.experiment_id])
    trial, parent = sorted(runs, key=lambda run: "eig_tune.trial" not in run.data.tags)
    assert len(trial.info.run_name) == 250 and trial.info.run_name.endswith("…")
    assert trial.data.params["distance"] == "x" * 499 + "…"
    assert trial.data.tags["stop_reason"] == "y" * 4999 + "…"
    assert len(parent.data.tags["mlflow.note.content"]) == 5000


def test_writing_all_again_changes_nothing(local: Store) -> None:
    for _ in range(3):
        to = tracker(local)
        write_trial(to, 0, reports=4)
        to.close("FINISHED", {})
    assert to.ended == {"0"}
    assert_whole(local, trials=1, reports=4)


def test_confirmation_lies_below_its_trial(local: Store) -> None:
    to = tracker(local)
    write_trial(to, 0, reports=1)
    to.start_run("0.7", "confirmation", {"seed": 7}, at=1.0, kind="confirmation", below="0")
    to.close("FINISHED", {})
    (parent,) = local.searches()
    (trial,) = local.trial_runs(parent.info.run_id)
    (grandchild,) = local.runs_of(MINE, "0.7")
    assert grandchild.data.tags["mlflow.parentRunId"] == trial.info.run_id


def test_what_cannot_be_written_is_an_error_and_stops_nothing(local: Store) -> None:
    to = tracker(local)

    def broken(folder: Path) -> None:
        raise OSError("no space left on device")

    to.log_artifacts(None, broken)
    write_trial(to, 0, reports=2)
    to.close("FINISHED", {"front": "0"})
    assert to.errors == ["no space left on device"]
    assert_whole(local, trials=1, reports=2)
    parent = local.client.get_run(to.parent_id)
    assert (parent.info.status, parent.data.tags["front"]) == ("FINISHED", "0"), "the parent run, too, goes on"


def test_two_searches_in_one_experiment_share_nothing(local: Store) -> None:
    """Two users of one server take the default name."""
    parents: dict[str, str] = {}
    for search_id, reports in ((MINE, 2), (ANOTHERS, 5), (MINE, 2)):
        to = SearchTracker(local, "search", search_id, {"trials": reports}, OBJECTIVES)
        write_trial(to, 0, reports)
        to.close("FINISHED", {})
        assert parents.setdefault(search_id, to.parent_id) == to.parent_id
        assert to.ended == {"0"}
    assert parents[MINE] != parents[ANOTHERS]
    for search_id, reports in ((MINE, 2), (ANOTHERS, 5)):
        (run,) = local.trial_runs(parents[search_id])
        assert len(local.client.get_metric_history(run.info.run_id, "nmi")) == reports
        assert {r.info.run_id for r in local.runs_of(search_id)} == {parents[search_id], run.info.run_id}


def test_search_and_comparison_of_one_name_share_nothing(local: Store) -> None:
    search = tracker(local)
    comparison = SearchTracker(local, "comparison", ANOTHERS, {}, {})
    assert search.parent_id != comparison.parent_id
    for to in (search, comparison):
        to.close("FINISHED", {})


def test_parent_run_that_was_made_just_before_a_kill_gets_its_parameters(local: Store) -> None:
    tags = {"eig_tune.kind": "search", "eig_tune.search_id": MINE, **OBJECTIVES}
    made = local.client.create_run(local.experiment_id, tags=tags).info.run_id
    to = tracker(local)
    to.close("FINISHED", {})
    assert to.parent_id == made
    assert local.client.get_run(made).data.params == {"trials": "2"}


def test_run_has_its_user_also_where_users_have_no_names(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    to = tracker(local)
    to.close("FINISHED", {})
    assert local.client.get_run(to.parent_id).data.tags["mlflow.user"] == f"uid {os.getuid()}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path)
    yield running
    running.kill()


@pytest.mark.slow
def test_server_that_is_down_for_a_while_gets_everything_once(server: MlflowServer, tmp_path: Path) -> None:
    store = open_store(server.uri, "mine", tmp_path)
    to = tracker(store)
    write_trial(to, 0, reports=5, seconds=0.1)
    server.kill()
    started = time.monotonic()
    write_trial(to, 1, reports=20, seconds=0.01)
    assert time.monotonic() - started < 2, "a trial has waited for MLflow"
    time.sleep(8)
    server.start()
    write_trial(to, 2, reports=5)
    to.close("FINISHED", {})
    assert to.errors == []
    (parent,) = store.searches()
    counts = {
        run.data.tags["eig_tune.trial"]: len(store.client.get_metric_history(run.info.run_id, "nmi"))
        for run in store.trial_runs(parent.info.run_id)
    }
    assert counts == {"0": 5, "1": 20, "2": 5}


@pytest.mark.slow
def test_server_that_does_not_come_back_is_one_message(
    server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eig_tune.tracking.writer._PATIENCE_AT_THE_END", 1.0)
    store = open_store(server.uri, "mine", tmp_path)
    to = tracker(store)
    server.kill()
    write_trial(to, 0, reports=2)
    to.close("FINISHED", {})
    (error,) = to.errors
    assert server.uri in error and "--resume" in error
    server.start()
    again = tracker(store)
    write_trial(again, 0, reports=2)
    again.close("FINISHED", {})
    assert_whole(store, trials=1, reports=2)


def test_replaced_metric_is_what_is_read_back_whatever_the_clock(local: Store) -> None:
    """Logged again with the same step and time, MLflow would give the larger value: NMI 0.94 for 0.80."""
    logged = [(0.94, 1000.0), (0.80, 1000.0), (0.80, 1000.0), (0.85, 400.0), (0.94, 1000.0), (0.70, 2000.0)]
    for value, at in logged:
        to = tracker(local)
        to.start_run("0", "trial 0", {}, at=1000.0)
        to.replace_metrics("0", 3000, at, {"confirmed.nmi": value, "confirmed.seeds": 3.0}, {"value": str(value)})
        to.close("FINISHED", {})
        assert to.errors == []
        (trial,) = read_search(local.uri, local.name).trials
        assert trial.metrics == {"confirmed.nmi": value, "confirmed.seeds": 3.0}
        assert local.client.get_run(trial.run_id).data.tags["value"] == str(value)
    history = local.client.get_metric_history(trial.run_id, "confirmed.nmi")
    assert sorted(point.value for point in history) == [0.70, 0.80, 0.85, 0.94, 0.94], "equal ones are logged once"
    assert len(local.client.get_metric_history(trial.run_id, "confirmed.seeds")) == 1


def test_closing_ends_when_patience_does_and_says_what_is_missing(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eig_tune.tracking.writer._SECONDS_FOR_ONE_MORE_JOB", 0.3)
    drawing = threading.Event()
    to = tracker(local)

    def draw(folder: Path) -> None:
        drawing.wait(60)

    to.log_artifacts(None, draw)
    asked = iter([180.0, 180.0, 0.0])
    began = time.monotonic()
    to.close("KILLED", {}, lambda: next(asked, 0.0))
    assert time.monotonic() - began < 30
    assert to.errors == ["writing the rest to MLflow took too long; --resume writes it"]
    drawing.set()
