"""Whatever is killed, and whenever: the search goes on as if nothing had happened."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from agreement import Left, assert_all_agrees, assert_same_results
from searches import (
    NAME,
    assert_mlflow_has_every_report_once,
    assert_study_agrees,
    events,
    kill,
    log_of,
    shown,
    start,
    steps_run,
    trial_processes,
    trials_of,
    wait_for_events,
    write_space,
)

from eig_tune.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
KILLS = 5


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_space(tmp_path_factory.mktemp("space"), confirmed=1)


@pytest.fixture(scope="module")
def uninterrupted(space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the same search, left in peace; one trial at a time, so that all happens in the same order."""
    home = tmp_path_factory.mktemp("uninterrupted") / "home"
    process = start(space, home, "--cpus", "1")
    assert process.wait(timeout=300) == 0, log_of(home)
    return home


def assert_as_if_nothing_had_happened(home: Path, uninterrupted: Path) -> None:
    trials = trials_of(home)
    assert all(trial.status in ("finished", "stopped") and trial.reason for trial in trials.values())
    assert shown(trials) == shown(trials_of(uninterrupted))
    assert sorted(steps_run(home)) == sorted(steps_run(uninterrupted)), "a report is doubled or missing"
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)


@pytest.mark.long
def test_driver_killed_at_random_moments(space: Path, uninterrupted: Path, tmp_path: Path) -> None:
    home, moments = tmp_path / "home", random.Random(0)
    kills = 0
    while kills < KILLS:
        process = start(space, home, "--cpus", "1")
        if not wait_for_events(home, events(home) + moments.randint(3, 16), process):
            break
        kill(process)
        kills += 1
    assert kills == KILLS, "the search ended before it could be killed so often"
    assert start(space, home, "--cpus", "1").wait(timeout=300) == 0, log_of(home)
    assert_as_if_nothing_had_happened(home, uninterrupted)


@pytest.mark.long
def test_killed_in_either_round_of_the_confirmation_and_between_them(tmp_path: Path) -> None:
    """In the first round while a second seed trains, when the last of them has ended, and while a fresh seed trains."""
    space, home, peace = write_space(tmp_path, confirmed=1), tmp_path / "home", confirmed(tmp_path / "peace")
    space.write_text(space.read_text().replace("grace: 20", "grace: 60"))  # so that a third of the trials finish
    options = ("--trials", "6", "--cpus", "1")
    assert start(space, peace.home, *options).wait(timeout=300) == 0, log_of(peace.home)
    finalists = len(peace.second_seeds())
    assert finalists > 1 and len(peace.confirmations()) == 1
    second, fresh = Home(home).second_seed_event_log(NAME), Home(home).confirmation_event_log(NAME)
    for file, event, times in ((second, "report", 2), (second, "end", finalists), (fresh, "report", 2)):
        process = start(space, home, *options)
        while not file.is_file() or file.read_text().count(f'"event": "{event}"') < times:
            assert process.poll() is None, log_of(home)
            time.sleep(0.005)
        kill(process)
    assert start(space, home, *options).wait(timeout=300) == 0, log_of(home)
    assert_as_if_nothing_had_happened(home, peace.home)
    assert_same_results(confirmed(home), peace)
    assert_all_agrees(confirmed(home), wanted=6, confirmed=1, report_every=20, rungs=(60,))
    assert re.search(r"selection bias \(found − confirmed\) over 1 trial: neighbour_nmi", log_of(home))


def confirmed(home: Path) -> Left:
    return Left(home, f"sqlite:///{home}/mlflow.db", home / "ray")


@pytest.mark.long
def test_trial_processes_killed_at_random_moments(space: Path, uninterrupted: Path, tmp_path: Path) -> None:
    home, moments = tmp_path / "home", random.Random(1)
    process, killed = start(space, home, "--cpus", "1"), set[int]()
    while len(killed) < KILLS and wait_for_events(home, events(home) + moments.randint(6, 14), process):
        for worker in trial_processes(process.pid):
            if worker not in killed:
                killed.add(worker)
                os.kill(worker, signal.SIGKILL)
    assert len(killed) >= KILLS, "the search ended before its workers could be killed so often"
    assert process.wait(timeout=300) == 0, log_of(home)
    assert_as_if_nothing_had_happened(home, uninterrupted)
