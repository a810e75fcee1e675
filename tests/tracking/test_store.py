"""Stores that cannot be used, or have more experiments than MLflow lists at once."""

import logging
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow_server import free_port

from eig_tune.errors import ResultError, TrackingError
from eig_tune.tracking import check_store, local_uri, open_store
from eig_tune.tracking.find_search import find_run


def test_database_that_cannot_be_reached_is_reported_at_once_without_its_password() -> None:
    pytest.importorskip("psycopg2")
    port = free_port()
    with pytest.raises(TrackingError) as caught:
        check_store(f"postgresql+psycopg2://me:s3cret@127.0.0.1:{port}/db")
    assert f"me:***@127.0.0.1:{port}/db cannot be used" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None, "the driver's message may quote the password"


def test_check_makes_no_store(tmp_path: Path) -> None:
    check_store(f"sqlite:///{tmp_path}/mlflow.db")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store in which the only search is that of the oldest of 2,100 experiments."""
    home = tmp_path_factory.mktemp("home")
    store = open_store(local_uri(home), "oldest", home)
    store.client.create_run(store.experiment_id, tags={"eig_tune.kind": "search", "eig_tune.search_id": "s1"})
    now = int(time.time() * 1000) + 60_000
    rows = [(f"other {number}", f"{home.as_uri()}/artifacts/{number}", "active", now, now) for number in range(2099)]
    columns = "name, artifact_location, lifecycle_stage, creation_time, last_update_time"
    with closing(sqlite3.connect(home / "mlflow.db")) as opened, opened:
        opened.executemany(f"INSERT INTO experiments ({columns}) VALUES (?, ?, ?, ?, ?)", rows)
    return local_uri(home)


def test_search_is_found_among_more_experiments_than_a_page_has(
    crowded: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "eig_tune")
    assert find_run(crowded, None)[0].name == "oldest"
    assert find_run(crowded, "oldest")[0].name == "oldest"
    open_store(crowded, "renamed", tmp_path, resumed="s1")
    assert caplog.messages == ["MLflow: the search 'renamed' continues in its renamed experiment 'oldest'"]


def test_unknown_search_is_one_line_with_some_of_the_known_ones(crowded: str) -> None:
    with pytest.raises(ResultError, match=r"^no search 'none' in sqlite:.*; there are: other 0, .* and 2090 more$"):
        find_run(crowded, "none")
