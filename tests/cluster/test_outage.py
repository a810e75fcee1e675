"""An MLflow server that is away for a minute: the search does not notice, and afterwards everything is there once."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_server import MlflowServer
from searches import (
    assert_mlflow_has_every_report_once,
    kill,
    log_of,
    start,
    trials_of,
    wait_for_events,
    write_space,
)

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
OUTAGE_SECONDS = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path)
    yield running
    running.kill()


@pytest.mark.alone
def test_server_away_for_a_minute(server: MlflowServer, tmp_path: Path) -> None:
    home = tmp_path / "home"
    endless = ("--tracking-uri", server.uri, "--trials", "1000", "--time-budget", "100s")
    space = write_space(tmp_path)
    # A report a second or so, as real trials have them, not ten.
    space.write_text(space.read_text().replace("steps: 180, report_every: 20", "steps: 900, report_every: 100"))
    space.write_text(space.read_text().replace("grace: 20", "grace: 100"))
    process = start(space, home, *endless)
    assert wait_for_events(home, 30, process)
    server.kill()
    away = time.time()
    time.sleep(OUTAGE_SECONDS)
    back = time.time()
    server.start()
    assert process.wait(timeout=300) == 3, log_of(home)  # by the time budget
    trials = trials_of(home)
    reports = sorted(report.at for trial in trials.values() for report in trial.reports.values())
    during = [at for at in reports if away < at < back]
    assert max(later - at for at, later in itertools.pairwise([away, *during, back])) < 5, "the search has stopped"
    outside = [at for at in reports if not away < at < back]
    outside_seconds = (away - reports[0]) + (reports[-1] - back)
    ratio = (len(during) / OUTAGE_SECONDS) / (len(outside) / outside_seconds)
    print(f"reports per second during the outage, of those outside of it: {ratio:.2f}")
    assert ratio > 0.8  # the server itself takes a part of this machine while it is there, and to start again
    assert_mlflow_has_every_report_once(home, trials, server.uri)


@pytest.mark.long
def test_server_and_driver_away_at_once(server: MlflowServer, tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "home"
    process = start(space, home, "--tracking-uri", server.uri)
    assert wait_for_events(home, 30, process)
    server.kill()
    assert wait_for_events(home, 50, process)
    kill(process)
    server.start()
    assert start(space, home, "--tracking-uri", server.uri).wait(timeout=300) == 0, log_of(home)
    assert "View run" not in log_of(home), "MLflow talks where only results belong"
    trials = trials_of(home)
    assert all(trial.status in ("finished", "stopped") for trial in trials.values())
    assert_mlflow_has_every_report_once(home, trials, server.uri)
