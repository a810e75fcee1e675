"""A PostgreSQL database as the store itself, without an MLflow server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import BINARIES, PostgresServer
from processes import open_at_once

from eig_tune.tracking import SearchTracker, open_store, usable_address
from eig_tune.tracking.find_search import find_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BINARIES.is_dir(), reason="needs Debian's package postgresql"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    running = PostgresServer()
    yield running
    running.stop()


def test_processes_that_begin_a_database_at_once_share_it(server: PostgresServer, tmp_path: Path) -> None:
    names = [f"search {number}" for number in range(4)]
    assert open_at_once(usable_address(f"postgres://{server.place}"), names, tmp_path) == names


def test_search_in_a_database_has_its_artifacts_in_its_home(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a run has 250 characters at most there, and artifacts would lie in the current folder."""
    monkeypatch.chdir(tmp_path)
    home, uri = tmp_path / "home", usable_address(f"postgresql://{server.place}")
    store = open_store(uri, "mine", home)
    with SearchTracker(store, "search", "s1", {}, {}) as to:
        to.start_run("0", "trial 0 · " + "x" * 500, {"tau": 0.5}, at=1000.0)
        to.log_metrics("0", 1, {"nmi": float("nan")}, at=1001.0)
        to.log_artifacts("0", lambda folder: (folder / "samples.txt").write_text("seen"))
        to.end_run("0", "FINISHED", {"status": "finished"}, at=1004.0)
        to.close("FINISHED", {})
    assert to.errors == []
    (run,) = find_run(uri, "mine")[0].runs_of("s1", "0")
    assert Path(store.client.download_artifacts(run.info.run_id, "samples.txt")).read_text() == "seen"
    assert [entry.name for entry in tmp_path.iterdir()] == ["home"]
