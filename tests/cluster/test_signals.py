"""Signals sent to real searches, and the time budget: a gentle end; after it a resume goes on as if it had not been."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from classifiers import give_classifier
from searches import (
    EIG_TUNE,
    assert_mlflow_has_every_report_once,
    assert_study_agrees,
    events,
    log_of,
    start,
    steps_run,
    trials_of,
    wait_for_events,
    write_space,
)

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
SEVERAL = ("--trials", "6", "--cpus", "1")


def assert_ended_by(number: signal.Signals, code: int, home: Path) -> None:
    log = log_of(home)
    assert code == 128 + number, log
    last = log.splitlines()[-1]
    assert last == f"eig-tune: interrupted by {number.name}; a search, comparison or run goes on with --resume"
    for noise in ("Traceback", "***", "@  ", "goes on elsewhere", "failed", "Aborted"):
        assert noise not in log, log


def assert_resumed_as_if_nothing_had_happened(space: Path, home: Path, *options: str) -> None:
    assert start(space, home, *options).wait(timeout=300) == 0, log_of(home)
    trials = trials_of(home)
    assert all(trial.status in ("finished", "stopped") for trial in trials.values())
    assert len(list(steps_run(home))) == len(set(steps_run(home))), "a report is doubled"
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_one_signal_to_the_whole_group_is_a_gentle_end(tmp_path: Path, number: signal.Signals) -> None:
    """As a terminal sends Ctrl-C, and `timeout` SIGTERM, which moreover sends it twice."""
    space, home = write_space(tmp_path), tmp_path / "home"
    process = start(space, home, *SEVERAL, group=True)
    assert wait_for_events(home, 15, process), log_of(home)
    os.killpg(process.pid, number)
    process.send_signal(number)
    assert_ended_by(number, process.wait(timeout=60), home)
    assert "trials have ended; go on with --resume" in log_of(home)
    home.with_suffix(".log").unlink()
    assert_resumed_as_if_nothing_had_happened(space, home, *SEVERAL)


@pytest.mark.long
def test_signal_at_any_moment_of_a_beginning_is_one_line(tmp_path: Path) -> None:
    """While libraries are imported, images read, the store opened and Ray started."""
    space, home = write_space(tmp_path), tmp_path / "home"
    for moment in (0, 2, 4, 6, 9, 12):
        process = start(space, home, *SEVERAL)
        while not catches(process.pid, signal.SIGTERM):
            time.sleep(0.01)
        time.sleep(moment)
        process.send_signal(signal.SIGTERM)
        assert_ended_by(signal.SIGTERM, process.wait(timeout=60), home)
        home.with_suffix(".log").unlink()


@pytest.mark.long
@pytest.mark.parametrize("later", [0.0, 1.0, 2.0])
def test_sigterm_while_ray_starts_waits_until_it_has_started(tmp_path: Path, later: float) -> None:
    """Ray's C++ answers it with a page of frames from some moment on, until we have it back."""
    space, home = write_space(tmp_path), tmp_path / "home"
    process = start(space, home, *SEVERAL)
    while not catches(process.pid, signal.SIGTERM, "SigBlk"):
        time.sleep(0.01)
    time.sleep(later)
    process.send_signal(signal.SIGTERM)
    assert_ended_by(signal.SIGTERM, process.wait(timeout=60), home)


def catches(process: int, number: signal.Signals, what: str = "SigCgt") -> bool:
    """Whether it has begun to listen, so that Python itself has started; or what else its kernel says of a signal."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith(f"{what}:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.long
def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "home"
    process = start(space, home, *SEVERAL, environment={"EIG_TUNE_PACE": "0"})
    assert wait_for_events(home, 15, process), log_of(home)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.7)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 2
    assert "Traceback" not in log_of(home) and "***" not in log_of(home)
    assert_resumed_as_if_nothing_had_happened(space, home, *SEVERAL)


@pytest.mark.long
def test_ctrl_c_between_search_and_confirmation_and_in_it(tmp_path: Path) -> None:
    space, home = write_space(tmp_path, confirmed=2), tmp_path / "home"
    for wait_for in ("studies/tiny/curves.parquet", "studies/tiny/confirmation.jsonl"):
        process = start(space, home, *SEVERAL)
        while not (home / wait_for).exists() or (wait_for.endswith("jsonl") and not confirming_reports(home)):
            assert process.poll() is None, log_of(home)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert_ended_by(signal.SIGINT, process.wait(timeout=60), home)
        assert "interrupted by SIGINT: not all of the best have been confirmed; go on with --resume" in log_of(home)
        home.with_suffix(".log").unlink()
    assert_resumed_as_if_nothing_had_happened(space, home, *SEVERAL)
    assert "2 fresh seeds" in log_of(home) or "1 fresh seed:" in log_of(home)


def confirming_reports(home: Path) -> int:
    return (home / "studies/tiny/confirmation.jsonl").read_bytes().count(b'"event": "report"')


@pytest.mark.long
def test_time_budget_bounds_the_confirmation_too(tmp_path: Path) -> None:
    space, home = write_space(tmp_path, confirmed=3), tmp_path / "home"
    assert start(space, home, *SEVERAL, "--time-budget", "2s").wait(timeout=120) == 3, log_of(home)
    assert re.search(r"the time budget is over: \d of \d trials have ended; go on with --resume", log_of(home))
    space.write_text(space.read_text().replace("confirm: {top: 3, seeds: 1}", "confirm: {top: 3, seeds: 100}"))
    began = time.monotonic()
    assert start(space, home, *SEVERAL, "--time-budget", "60s").wait(timeout=240) == 3, log_of(home)
    assert time.monotonic() - began < 60 + 40
    left = r"the time budget is over: (\d of 6 trials have ended|not all of the best have been confirmed); go on"
    assert len(re.findall(left, log_of(home))) == 2
    assert events(home) > 0


def test_timeout_of_coreutils_with_a_lost_terminal_and_plain_commands(tmp_path: Path) -> None:
    space, out = write_space(tmp_path), tmp_path / "out"
    space.write_text(space.read_text().replace("steps: 180", "steps: 1000000"))
    home = tmp_path / "home"
    give_classifier(home)
    command = [str(EIG_TUNE), "train", "--space", str(space), "--home", str(home), "--out", str(out)]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        ran = subprocess.Popen([*command, "--resume"], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while not (out / "metrics.jsonl").is_file():
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)
        ran.send_signal(number)
        shown = ran.communicate(timeout=60)[1]
        assert ran.returncode == 128 + number and "Traceback" not in shown
        assert shown.splitlines()[-1].startswith(f"eig-tune: interrupted by {number.name}; ")
    timed = subprocess.run(["timeout", "15", *command, "--resume"], capture_output=True, text=True, check=False)
    assert timed.returncode == 124 and "Traceback" not in timed.stderr
