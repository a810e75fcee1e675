"""Trials that go wrong, each in its own way: the search ends well and says what happened."""

import json
import os
from pathlib import Path

import pytest
from searches import assert_mlflow_has_every_report_once, assert_study_agrees, log_of, start, trials_of, write_space

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
FAULTS = Path(__file__).parent / "faults"


def test_exception_killed_worker_and_want_of_memory_fail_their_trials_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    faults = {"0": "not enough memory", "2": "raise", "4": "kill", "5": "never enough memory"}
    environment = {
        "EIG_TUNE_FAULTS": json.dumps(faults),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(FAULTS), os.environ.get("PYTHONPATH")])),
    }
    space = write_space(tmp_path)
    space.write_text(space.read_text().replace("grace: 20", "grace: 60"))  # three reports of trial 0 for sure
    process = start(space, home, "--trials", "7", "--cpus", "1", environment=environment)
    assert process.wait(timeout=300) == 0
    trials, log = trials_of(home), log_of(home)
    assert {number for number, trial in trials.items() if trial.status == "failed"} == {2, 4, 5}
    batches = [report.metrics.get("halved_batch_size") for report in trials[0].reports.values()]
    assert batches[0] is None and set(batches[1:]) == {16.0}, "it goes on from its first checkpoint"
    assert "trial 0: not enough GPU memory, it goes on with a batch of 16" in log
    assert trials[5].reason.startswith("the GPU's memory does not suffice for a batch of 32, nor for one of 16; ")
    assert "a fault was put here" in trials[2].reason
    assert "its process was lost" in trials[4].reason
    assert "trial 4 goes on elsewhere from step 0: its process was lost" in log
    for number in (2, 4, 5):
        line = next(line for line in log.splitlines() if line.startswith(f"WARNING {trials[number].name}"))
        assert "lambda_1=" in line
    assert Path(trials[2].reason.rpartition("see ")[2]).exists()
    assert "3 failed" in log
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)


def test_numbers_that_are_none_and_collapse_end_their_trials(tmp_path: Path) -> None:
    """A rate of 1e30 makes NaN; a prior that moves by 1,000 at a step puts all into few categories."""
    space = write_space(tmp_path, "generator_lr: {choice: [1.0e-3, 1.0e+30]}")
    home = tmp_path / "home"
    assert start(space, home).wait(timeout=300) == 0
    trials = trials_of(home)
    broken = {n for n, t in trials.items() if t.status == "failed"}
    assert broken == {n for n, t in trials.items() if t.params["generator_lr"] > 1}
    assert broken and len(broken) < len(trials)
    assert all("is not a number at step" in trials[number].reason for number in broken)
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)
