"""A home may be moved, copied and renamed like any folder, with its models."""

import shutil
from pathlib import Path

import pytest

from eig_tune.tracking import SearchTracker, download, local_uri, open_store, read_search
from eig_tune.tracking.address import sqlite_uri

OBJECTIVES = {"eig_tune.objectives": '{"nmi": "maximize"}'}
NAME = "digits"


def forget() -> None:
    """Clear MLflow's memory of where a run's artifacts lie, as in a new process."""
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()


def search(home: Path, weights: str, uri: str | None = None, name: str = NAME, search_id: str = "1" * 32) -> None:
    """A search of one trial in a home, begun or gone on, which writes these weights."""
    forget()
    store = open_store(uri or local_uri(home), name, home, search_id)
    to = SearchTracker(store, "search", search_id, {}, OBJECTIVES)
    to.start_run("0", "trial 0", {}, at=1000.0)
    to.log_artifacts("0", lambda folder: (folder / "weights").write_text(weights), "model")
    to.end_run("0", "FINISHED", {"status": "finished"}, at=2000.0)
    to.close("FINISHED", {})
    assert to.errors == []


def weights(home: Path, to: Path) -> str:
    """The weights that `best` would export."""
    forget()
    found = read_search(local_uri(home), NAME)
    (trial,) = found.trials
    download(found.store, trial.run_id, {"model"}, to)
    return (to / "model" / "weights").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made") / "a home"
    search(home, "of the original")
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A home that was made at another place; with a percent sign and a space in its name."""
    shutil.copytree(made, tmp_path / "50% home")
    assert weights(tmp_path / "50% home", tmp_path / "taken first") == "of the original"
    return tmp_path / "50% home"


@pytest.mark.parametrize("to", ["moved", "deep/er", "ünïcode"])
def test_moved_home_has_its_models_and_its_searches_go_on_there(home: Path, tmp_path: Path, to: str) -> None:
    (tmp_path / to).parent.mkdir(exist_ok=True)
    home.rename(tmp_path / to)
    assert weights(tmp_path / to, tmp_path / "taken") == "of the original"
    search(tmp_path / to, "newer")
    assert weights(tmp_path / to, tmp_path / "newer") == "newer"
    assert not home.exists(), "something was written to where it was before"


def test_home_that_is_moved_and_resumed_before_it_is_read_goes_on_there(home: Path, tmp_path: Path) -> None:
    home.rename(tmp_path / "moved")
    search(tmp_path / "moved", "newer")
    assert not home.exists()


def test_copy_of_a_home_writes_into_itself(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "copy")
    search(tmp_path / "copy", "of the copy")
    assert weights(home, tmp_path / "taken") == "of the original"
    assert weights(tmp_path / "copy", tmp_path / "taken from the copy") == "of the copy"
    search(home, "newer")
    assert weights(tmp_path / "copy", tmp_path / "taken again") == "of the copy"


def test_home_under_two_names_stays_as_it_is(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    before = (home / "mlflow.db").read_bytes()
    assert weights(tmp_path / "link", tmp_path / "taken") == "of the original"
    assert (home / "mlflow.db").read_bytes() == before


def test_shared_database_keeps_the_models_of_a_home_that_is_gone(tmp_path: Path) -> None:
    uri = sqlite_uri(tmp_path / "shared" / "mlflow.db")
    search(tmp_path / "mine", "of mine", uri)
    search(tmp_path / "yours", "of yours", uri, name="yours", search_id="2" * 32)
    assert not (tmp_path / "mine").exists()
    (tmp_path / "shared").rename(tmp_path / "moved")
    assert weights(tmp_path / "moved", tmp_path / "taken") == "of mine"
    assert not (tmp_path / "shared").exists()


def test_registered_models_are_moved_too(home: Path, tmp_path: Path) -> None:
    client = open_store(local_uri(home), NAME, home).client
    client.create_registered_model("m")
    client.create_model_version("m", (home / "artifacts" / NAME).as_uri())
    home.rename(tmp_path / "moved")
    moved = open_store(local_uri(tmp_path / "moved"), NAME, tmp_path / "moved").client
    assert moved.get_model_version_download_uri("m", "1") == (tmp_path / "moved" / "artifacts" / NAME).as_uri()
