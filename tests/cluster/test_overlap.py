"""A search, the second seeds of its finalists and its confirmation in the same slots and the same processes."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from agreement import Left, assert_all_agrees
from searches import NAME, kill, log_of, start, trial_processes, write_space

from eig_tune.home import Home
from eig_tune.hpo.event_log import read_state
from eig_tune.hpo.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
OPTIONS = ("--trials", "9", "--cpus", "2")
CONFIRMED = 1


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """Three or more trials finish, so that two slots have an odd number of second seeds at times."""
    file = write_space(tmp_path, confirmed=CONFIRMED)
    file.write_text(file.read_text().replace("grace: 20", "grace: 60"))
    return file


def runs_of(home: Path) -> tuple[Mapping[int, Trial], ...]:
    """Trials, second seeds and fresh seeds so far."""
    of = Home(home)
    files = of.event_log(NAME), of.second_seed_event_log(NAME), of.confirmation_event_log(NAME)
    return tuple(read_state(file).trials if file.is_file() else {} for file in files)


def assert_agrees(home: Path) -> None:
    left = Left(home, f"sqlite:///{home}/mlflow.db", home / "ray")
    assert_all_agrees(left, wanted=9, confirmed=CONFIRMED, report_every=20, rungs=(60,))


def test_fresh_seeds_begin_before_the_last_second_one_has_ended_and_no_process_is_started_for_them(
    space: Path, tmp_path: Path
) -> None:
    home, seen = tmp_path / "home", set[int]()
    process = start(space, home, *OPTIONS)
    while process.poll() is None:
        seen |= set(trial_processes(process.pid))
        time.sleep(0.1)
    assert process.returncode == 0, log_of(home)
    trials, second, fresh = runs_of(home)
    assert len(second) > CONFIRMED
    begun, ended = min(run.at for run in fresh.values()), max(run.ended_at or 0.0 for run in second.values())
    assert begun < ended, "a slot was idle meanwhile"
    assert min(run.at for run in second.values()) < max(trial.ended_at or 0.0 for trial in trials.values())
    assert len(seen) == 2, "one for each slot"
    assert_agrees(home)


@pytest.mark.long
def test_killed_while_second_and_fresh_seeds_train_side_by_side(space: Path, tmp_path: Path) -> None:
    home, side_by_side = tmp_path / "home", False
    process = start(space, home, *OPTIONS)
    while not side_by_side:
        assert process.poll() is None, log_of(home)
        _, second, fresh = runs_of(home)
        side_by_side = bool(fresh) and not all(run.ended for run in second.values())
        time.sleep(0.02)
    kill(process)
    before = [(run.params, run.reports) for runs in runs_of(home) for run in runs.values() if run.ended]
    assert start(space, home, *OPTIONS).wait(timeout=600) == 0, log_of(home)
    after = [(run.params, run.reports) for runs in runs_of(home) for run in runs.values()]
    assert all(run in after for run in before), "what had ended was trained again"
    assert_agrees(home)
