"""A search's runs after experiments or runs were renamed or deleted in MLflow."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eig_tune.errors import ResultError
from eig_tune.tracking import SearchTracker, Store, local_uri, open_store

MINE, ANOTHERS = "1" * 32, "2" * 32


@pytest.fixture(autouse=True)
def no_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eig_tune.tracking.writer._GATHERING_SECONDS", 0.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one database for all tests, since making it takes seconds."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def opened(home: Path, name: str, resumed: str | None = None) -> Store:
    return open_store(local_uri(home), name, home, resumed)


def search(store: Store, trials: int = 1, search_id: str = MINE) -> SearchTracker:
    """Trials with a model each, as far as they are not there already."""
    to = SearchTracker(store, "search", search_id, {}, {})
    for key in map(str, range(trials)):
        write_trial(to, key)
    to.close("FINISHED", {})
    assert to.errors == []
    return to


def write_trial(to: SearchTracker, key: str) -> None:
    to.start_run(key, f"trial {key}", {}, at=1000.0)
    if key not in to.ended:
        to.log_artifacts(key, lambda folder: (folder / "model").write_text("weights"))
    to.end_run(key, "FINISHED", {"status": "finished"}, at=2000.0)


def models(store: Store, parent_id: str) -> dict[str, list[str]]:
    """By trial, what artifacts it has."""
    return {
        run.data.tags["eig_tune.trial"]: [file.path for file in store.client.list_artifacts(run.info.run_id)]
        for run in store.trial_runs(parent_id)
    }


def test_search_goes_on_in_its_renamed_experiment(home: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "eig_tune")
    store = opened(home, name)
    began = search(store)
    store.client.rename_experiment(store.experiment_id, f"{name} of Monday")
    again = opened(home, name, MINE)
    assert search(again, trials=2).parent_id == began.parent_id
    assert again.experiment_id == store.experiment_id
    assert caplog.messages == [f"MLflow: the search {name!r} continues in its renamed experiment '{name} of Monday'"]
    assert models(again, began.parent_id) == {"0": ["model"], "1": ["model"]}


def test_another_experiment_that_has_the_old_name_now_is_not_touched(home: Path, name: str) -> None:
    store = opened(home, name)
    began = search(store, search_id=ANOTHERS)
    store.client.rename_experiment(store.experiment_id, f"{name} of Monday")
    search(opened(home, name))
    again = opened(home, name, ANOTHERS)
    assert search(again, search_id=ANOTHERS).parent_id == began.parent_id


def delete_everything(store: Store, parent_id: str) -> None:
    for run in store.runs_of(MINE):
        store.client.delete_run(run.info.run_id)


def delete_parent(store: Store, parent_id: str) -> None:
    store.client.delete_run(parent_id)


def delete_trial(store: Store, parent_id: str) -> None:
    store.client.delete_run(store.trial_runs(parent_id)[0].info.run_id)


def delete_experiment(store: Store, parent_id: str) -> None:
    store.client.delete_experiment(store.experiment_id)


@pytest.mark.parametrize(
    ("delete", "notice"),
    [
        (delete_everything, "MLflow: deleted runs of the search were restored: 3"),
        (delete_parent, "MLflow: deleted runs of the search were restored: 1"),
        (delete_trial, "MLflow: deleted runs of the search were restored: 1"),
        (delete_experiment, "MLflow: the experiment {name!r} had been deleted and was restored with all its runs"),
    ],
)
def test_what_was_deleted_of_a_search_that_goes_on_is_restored_with_its_models(
    home: Path, delete: Callable[[Store, str], None], notice: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "eig_tune")
    name = f"{delete.__name__} of a search"
    store = opened(home, name)
    began = search(store, trials=2)
    delete(store, began.parent_id)
    again = opened(home, name, MINE)
    assert caplog.messages == [notice.format(name=name)]
    assert search(again, trials=2).parent_id == began.parent_id
    assert models(again, began.parent_id) == {"0": ["model"], "1": ["model"]}
    caplog.clear()
    opened(home, name, MINE)
    assert caplog.messages == []


@pytest.mark.parametrize("delete", [delete_experiment, delete_parent, delete_trial, delete_everything])
def test_what_is_deleted_while_a_search_runs_is_an_error_and_written_by_the_next_resume(
    home: Path, delete: Callable[[Store, str], None]
) -> None:
    name = f"{delete.__name__} while it runs"
    store = opened(home, name)
    to = SearchTracker(store, "search", MINE, {}, {})
    write_trial(to, "0")
    wait_for_trials(store, to.parent_id, 1)
    delete(store, to.parent_id)
    write_trial(to, "1")
    began = time.monotonic()
    to.close("FINISHED", {})
    assert time.monotonic() - began < 60
    assert bool(to.errors) is (delete is not delete_trial), "the deleted run of an ended trial was complete"
    again = search(opened(home, name, MINE), trials=2)
    assert again.parent_id == to.parent_id
    assert models(store, again.parent_id) == {"0": ["model"], "1": ["model"]}


def wait_for_trials(store: Store, parent_id: str, count: int) -> None:
    end = time.monotonic() + 30
    while len([run for run in store.trial_runs(parent_id) if "eig_tune.ended" in run.data.tags]) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_parent_run_that_is_gone_for_good_is_made_anew_above_its_trials(home: Path, name: str) -> None:
    store = opened(home, name)
    began = search(store)
    store.client.delete_run(began.parent_id)
    store.client._tracking_client.store._hard_delete_run(began.parent_id)  # what `mlflow gc` does
    again = search(opened(home, name, MINE), trials=2)
    assert again.is_new and again.parent_id != began.parent_id
    assert models(store, again.parent_id) == {"0": ["model"], "1": ["model"]}
    assert len(store.runs_of(MINE)) == 3


def test_new_search_is_refused_where_its_experiment_was_deleted(home: Path, name: str) -> None:
    store = opened(home, name)
    search(store, search_id=ANOTHERS)
    store.client.delete_experiment(store.experiment_id)
    for resumed in (None, "3" * 32):
        with pytest.raises(ResultError, match=f"--name: the MLflow experiment '{name}' was deleted; give another"):
            opened(home, name, resumed)
    assert store.client.get_experiment(store.experiment_id).lifecycle_stage == "deleted"


def test_store_without_the_search_gets_all_of_it(home: Path, name: str) -> None:
    to = search(opened(home, name, "4" * 32), search_id="4" * 32)
    assert to.is_new
    assert not search(opened(home, name, "4" * 32), search_id="4" * 32).is_new
