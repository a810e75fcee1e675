"""Databases as stores: any name of a home, whatever driver is installed, and two that begin at once."""

import multiprocessing
import re
from pathlib import Path
from typing import Any

import pytest

from eig_tune.errors import TrackingError
from eig_tune.tracking import OBJECTIVES_TAG, Store, local_uri, open_store, read_search, usable_address

NAMES = ["what? a%20b %3F ha#sh ünï日本", "[x] q'uo\"te back\\slash &;=+$HOME", "y" * 200]


def logged_and_fetched(store: Store, folder: Path) -> str:
    """What comes back of a file that was logged."""
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


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("sqlite:///a.db", "sqlite:///{cwd}/a.db"),
        ("sqlite:////data/x/../a.db", "sqlite:////data/a.db"),
        ("sqlite:///~/a.db", "sqlite:///{home}/a.db"),
        ("sqlite:////data/a%20b/c%3F.db", "sqlite+pysqlite:////data/a b/c%3F.db"),
        ("sqlite+pysqlite:////data/100%25.db", "sqlite+pysqlite:////data/100%25.db"),
        ("http://server:5000", "http://server:5000"),
        ("databricks", "databricks"),
        ("postgresql://me@db/mlflow", "postgresql+psycopg2://me@db/mlflow"),
        ("postgres://me@db/mlflow", "postgresql+psycopg2://me@db/mlflow"),
        ("postgresql+psycopg2://me:a://b@db/mlflow", "postgresql+psycopg2://me:a://b@db/mlflow"),
        ("postgresql+asyncpg://me@db/mlflow", "postgresql+asyncpg://me@db/mlflow"),
    ],
)
def test_address_is_what_mlflow_needs(given: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "psycopg2" in meant:
        pytest.importorskip("psycopg2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert usable_address(given) == meant.format(cwd=tmp_path.resolve(), home="/home/me")
    assert usable_address(usable_address(given)) == usable_address(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("sqlite://", "write sqlite:///FILE"),
        ("sqlite:///", "write sqlite:///FILE"),
        ("sqlite:///:memory:", "write sqlite:///FILE"),
        ("sqlite:///file:a?mode=memory", "write sqlite:///FILE"),
        ("sqlite:///{tmp}/what?/a.db", "is written %3F"),
        ("sqlite:///{tmp}/is%20there/a.db", "write sqlite:///{tmp}/is%2520there/a.db"),
        ("sqlite:///{tmp}/folder", "is a folder"),
        ("sqlite+aiosqlite:///a.db", "write sqlite:///FILE"),
        ("postgresql+psycopg://me:s3cret@db/mlflow", "pip install psycopg[binary]"),
        ("mysql://me:s3cret@db/mlflow", "pip install pymysql or mysqlclient"),
        ("mysql+mysqldb://me:s3cret@db/mlflow", "pip install mysqlclient"),
        ("mssql://me:s3cret@db/mlflow", "pip install pyodbc"),
    ],
)
def test_address_that_cannot_be_used_is_one_line_that_says_what_would_be_right(
    given: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "is%20there").mkdir()
    with pytest.raises(TrackingError, match=re.escape(told.format(tmp=tmp_path))) as caught:
        usable_address(given.format(tmp=tmp_path))
    assert "\n" not in str(caught.value) and "s3cret" not in str(caught.value)


def _open(uri: str, name: str, home: Path, at_once: Any, told: Any) -> None:
    at_once.wait()
    try:
        told.put(open_store(uri, name, home).name)
    except BaseException as error:
        told.put(repr(error))


def test_processes_that_begin_a_home_at_once_share_it(tmp_path: Path) -> None:
    names = [f"search {number}" for number in range(4)]
    fork = multiprocessing.get_context("fork")
    at_once, told = fork.Barrier(len(names)), fork.Queue()
    uri = local_uri(tmp_path)
    processes = [fork.Process(target=_open, args=(uri, name, tmp_path, at_once, told)) for name in names]
    for process in processes:
        process.start()
    assert sorted(told.get(timeout=120) for _ in names) == names
    for process in processes:
        process.join()
    assert [entry.name for entry in tmp_path.iterdir()] == ["mlflow.db"]
    assert {experiment.name for experiment in find_client(uri).search_experiments()} == {"Default", *names}


def find_client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)
