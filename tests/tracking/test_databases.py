"""Databases as stores: in a home of any name, and made by several processes at once."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from processes import open_at_once

from eig_tune.tracking import OBJECTIVES_TAG, Store, local_uri, open_store, read_search

NAMES = ["what? a%20b %3F ha#sh ünï日本", "[x] q'uo\"te back\\slash &;=+$HOME", "y" * 200]


def logged_and_fetched(store: Store, folder: Path) -> str:
    """The contents of a file that was logged and downloaded again."""
    (folder / "sent").mkdir()
    (folder / "sent" / "a.txt").write_text("weights")
    tags = {"eig_tune.kind": "search", OBJECTIVES_TAG: "{}"}
    run_id = store.client.create_run(store.experiment_id, tags=tags).info.run_id
    store.client.log_artifacts(run_id, str(folder / "sent"), "model")
    return Path(store.client.download_artifacts(run_id, "model", str(folder))).joinpath("a.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_home_of_any_name_has_its_store_and_its_artifacts_inside(name: str, tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "homes" / name, tmp_path / "elsewhere"
    elsewhere.mkdir()
    store = open_store(local_uri(home), "mine", home)
    assert logged_and_fetched(store, elsewhere) == "weights"
    assert read_search(local_uri(home), None).name == "mine"
    assert {entry.name for entry in home.iterdir()} == {"mlflow.db", "artifacts"}
    assert [entry.name for entry in (tmp_path / "homes").iterdir()] == [name]


def test_link_to_a_home_is_the_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link?").symlink_to(tmp_path / "home")
    assert local_uri(tmp_path / "link?") == local_uri(tmp_path / "home")


def test_processes_that_begin_a_home_at_once_share_it(tmp_path: Path) -> None:
    names, uri = [f"search {number}" for number in range(4)], local_uri(tmp_path)
    assert open_at_once(uri, names, tmp_path) == names
    assert [entry.name for entry in tmp_path.iterdir()] == ["mlflow.db"]
    assert {experiment.name for experiment in MlflowClient(uri).search_experiments()} == {"Default", *names}
