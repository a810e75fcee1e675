"""A real search, looked at and told what to do from other shells."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from searches import (
    EIG_TUNE,
    NAME,
    assert_mlflow_has_every_report_once,
    assert_study_agrees,
    kill,
    log_of,
    start,
    trials_of,
    wait_for_events,
    write_space,
)

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
SEVERAL = ("--trials", "6", "--cpus", "1")


def shell(home: Path, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    """A command in another shell."""
    done = subprocess.run(
        [EIG_TUNE, *arguments, "--home", home], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done


def status(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell(home, "status", NAME, "--json").stdout)
    return found


def test_running_search_is_shown_given_a_trial_stopped_and_resumed(tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "home"
    process = start(space, home, *SEVERAL)
    assert wait_for_events(home, 12, process), log_of(home)
    seen = status(home)
    assert seen["state"] == "running" and seen["process"].startswith(f"process {process.pid} on ")
    assert {trial["host"] for trial in seen["trials"] if trial["metrics"]} == {seen["host"]}
    added = shell(home, "add", NAME, "lambda_1=1.25")
    number = int(added.stderr.split()[-1])
    assert added.stderr == f"{NAME}: lambda_1=1.25 is the next trial, number {number}\n"
    stopped = shell(home, "stop", NAME)
    assert process.wait(timeout=30) == 3, log_of(home)
    assert stopped.stderr.splitlines()[0] == f"{NAME}: asked {seen['process']} to end"
    assert "stopped by eig-tune stop (process " in stopped.stderr.splitlines()[1]
    assert "trials have ended; go on with --resume" in log_of(home)
    command = f"eig-tune search --space {space} --home {home} --gpus 0 --trials 6 --cpus 1 --resume"
    assert log_of(home).splitlines()[-1] == f"go on with: {command}"
    assert "Traceback" not in log_of(home)
    assert status(home)["state"] == "stopped"
    assert start(space, home, *SEVERAL).wait(timeout=300) == 0, log_of(home)
    trials = trials_of(home)
    assert len(trials) == 7 and trials[number].params["lambda_1"] == 1.25
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)
    assert status(home)["num_trials"] == {"ended": 7, "begun": 7, "planned": 7}
    assert shell(home, "list").stdout.splitlines()[1].split()[:2] == [NAME, "complete"]


@pytest.mark.long
def test_killed_search_takes_an_added_trial_when_it_goes_on(tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "home"
    process = start(space, home, *SEVERAL)
    assert wait_for_events(home, 12, process), log_of(home)
    kill(process)
    assert status(home)["state"] == "killed"
    assert "killed in process" in shell(home, "stop", NAME).stderr
    assert "waits until `eig-tune search --resume` goes on" in shell(home, "add", NAME, "lambda_1=1.25").stderr
    assert start(space, home, *SEVERAL).wait(timeout=300) == 0, log_of(home)
    trials = trials_of(home)
    assert len(trials) == 7 and 1.25 in [trial.params["lambda_1"] for trial in trials.values()]
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)
