"""A server that wants a login: what is refused and what is printed, that no password stays anywhere; and open ports."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mlflow_server import MlflowServer
from ports import listening
from searches import (
    EIG_TUNE,
    assert_mlflow_has_every_report_once,
    descendants,
    log_of,
    start,
    trials_of,
    wait_for_events,
    write_space,
)

from eig_tune.errors import TrackingError
from eig_tune.tracking import check_store

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
PASSWORD = "open-sesame-of-the-tests"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    pytest.importorskip("flask_wtf", reason="needs mlflow[auth]")
    (tmp_path / "server").mkdir()
    running = MlflowServer(tmp_path / "server", password=PASSWORD)
    yield running
    running.kill()


def eig_tune(*arguments: object, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    command: list[str | Path] = [EIG_TUNE, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **environment}
    )


def test_server_with_login(server: MlflowServer, tmp_path: Path) -> None:
    """No login and a wrong one are one line; with the right one all is as ever, and the password stays nowhere."""
    space, home = write_space(tmp_path), tmp_path / "home"
    where = ("--home", home, "--tracking-uri", server.uri)
    line = "refuses the login (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    with pytest.raises(TrackingError, match=re.escape(line)):
        check_store(server.uri)
    wrong = {"MLFLOW_TRACKING_USERNAME": server.USER, "MLFLOW_TRACKING_PASSWORD": "guessed-wrongly"}
    refused = eig_tune("search", "--space", space, "--gpus", 0, *where, environment=wrong)
    assert refused.returncode == 2
    assert f"eig-tune: the MLflow store {server.uri} {line}" in refused.stderr
    assert "Traceback" not in refused.stderr and "guessed-wrongly" not in refused.stderr
    assert not home.exists()
    login = {"MLFLOW_TRACKING_USERNAME": server.USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    searching = start(space, home, "--trials", "2", "--steps", "60", "--tracking-uri", server.uri, environment=login)
    assert wait_for_events(home, 3, searching)
    family = [searching.pid, *descendants(searching.pid)]
    assert {address for pid in family for address, _ in listening(pid)} == {"127.0.0.1"}
    assert searching.wait(timeout=300) == 0, log_of(home)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in login.items():
            patch.setenv(name, value)
        assert_mlflow_has_every_report_once(home, trials_of(home), server.uri)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and PASSWORD.encode() in file.read_bytes()]
