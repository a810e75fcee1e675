"""A real search that is complete goes on with three times the steps and a wider range."""

import json
import subprocess
from pathlib import Path

import pytest
from checkpoint_rule import MOST_KEPT
from searches import (
    EIG_TUNE,
    NAME,
    assert_mlflow_has_every_report_once,
    assert_study_agrees,
    log_of,
    start,
    trials_of,
    write_space,
)

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
OPTIONS = ("--trials", "4", "--cpus", "2")


def test_complete_search_goes_on_with_more_steps_and_a_wider_range(tmp_path: Path) -> None:
    space, home = write_space(tmp_path, confirmed=1), tmp_path / "home"
    assert start(space, home, *OPTIONS).wait(timeout=300) == 0, log_of(home)
    before, read = trials_of(home), len(log_of(home))
    had = [trial for trial in before.values() if trial.status == "finished"]
    kept = {Path(str(trial.checkpoint)) for trial in had}
    assert had and len(had) <= MOST_KEPT and all(checkpoint.is_dir() for checkpoint in kept), (
        "those of the best are kept"
    )
    stopped = [Path(str(t.checkpoint)) for t in before.values() if t.status == "stopped" and t.checkpoint is not None]
    assert not any(checkpoint.is_dir() for checkpoint in stopped), "and no others"
    space.write_text(space.read_text().replace("loguniform: [0.3, 3]", "loguniform: [0.1, 30]"))
    more = ("--trials", "6", "--cpus", "2", "--steps", "540")
    assert start(space, home, *more).wait(timeout=300) == 0, log_of(home)
    printed = log_of(home)[read:]
    assert f"train.steps was 180, is now 540: the {len(had)} trials that had finished wait at their rungs" in printed
    assert "from step 0" not in printed, "they train on from their checkpoints"
    assert "search.lambda_1 was loguniform [0.3, 3.0], is now loguniform [0.1, 30.0]" in printed
    trials = trials_of(home)
    assert len(trials) == 6 and all(trial.ended for trial in trials.values())
    finished = [trial for trial in trials.values() if trial.status == "finished"]
    assert finished and all(max(trial.reports) == 540 for trial in finished)
    for number, trial in before.items():
        assert {s: r.metrics for s, r in trial.reports.items()}.items() <= {
            s: r.metrics for s, r in trials[number].reports.items()
        }.items()
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)
    best = [str(EIG_TUNE), "best", "--name", NAME, "--home", str(home), "--json", "--export", str(tmp_path / "model")]
    chosen = json.loads(subprocess.run(best, capture_output=True, text=True, check=True).stdout)
    assert chosen["trial"] in {trial.number for trial in finished}

    space.write_text(space.read_text().replace("width: 8", "width: 12"))
    read = len(log_of(home))
    assert start(space, home, *more).wait(timeout=120) == 2
    assert "model.width: was 8, is now 12" in log_of(home)[read:]
