"""The smallest real search: Ray, MLflow and Optuna agree with the event log, and it is resumed after a signal."""

import json
import signal
from pathlib import Path

import pytest
from checkpoint_rule import assert_checkpoints_are_where_they_belong
from searches import (
    assert_mlflow_has_every_report_once,
    assert_study_agrees,
    event_log_file,
    log_of,
    start,
    trials_of,
    wait_for_events,
    write_space,
)

from eig_tune.config.space import load_spec

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
OPTIONS = ("--trials", "3", "--cpus", "2")


def test_search_that_was_interrupted_ends_as_any_other(tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "home"
    begun = start(space, home, *OPTIONS)
    assert wait_for_events(home, 5, begun, timeout=300), log_of(home)
    begun.send_signal(signal.SIGTERM)
    assert begun.wait(timeout=60) == 128 + signal.SIGTERM, log_of(home)
    assert start(space, home, *OPTIONS).wait(timeout=300) == 0, log_of(home)
    log = log_of(home)
    assert "Traceback" not in log and "***" not in log, "Ray's C++ prints frames after ***"
    trials = trials_of(home)
    assert len(trials) == 3 and {trial.status for trial in trials.values()} <= {"finished", "stopped"}
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)
    events = [json.loads(line) for line in event_log_file(home).read_text().splitlines()]
    assert_checkpoints_are_where_they_belong(events, load_spec(space).rungs())
