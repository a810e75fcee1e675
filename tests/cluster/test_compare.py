"""A comparison that is killed goes on where it was, and makes the table of all its cells."""

import csv
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from classifiers import give_classifier
from searches import (
    EIG_TUNE,
    NAME,
    assert_mlflow_has_every_report_once,
    kill,
    log_of,
    trials_of,
    wait_for_events,
    write_space,
)

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
METHODS = ["uniform-infogan", "elastic-infogan", "joint-vae"]


def compare(space: Path, home: Path, *options: str) -> "subprocess.Popen[str]":
    give_classifier(home)
    command = [str(EIG_TUNE), "compare", "--space", str(space), "--home", str(home), "--name", NAME, "--gpus", "0"]
    command += ["--methods", ",".join(METHODS), "--splits", "0", "--seeds", "1", "--resume", *options]
    with home.with_suffix(".log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, text=True, env=dict(os.environ))


def test_killed_comparison_repeats_no_finished_cell(tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "home"
    process = compare(space, home, "--cpus", "1")
    # A cell is its proposal, its start, nine reports, the checkpoint of the last one, and its end.
    assert wait_for_events(home, 20, process)
    kill(process)
    before = {n: t for n, t in trials_of(home).items() if t.status == "finished"}
    assert before and len(before) < len(METHODS)
    assert compare(space, home, "--cpus", "1").wait(timeout=300) == 0, log_of(home)

    folder, trials = home / "studies" / NAME, trials_of(home)
    assert len(trials) == len(METHODS) + 1, "one more for the picture, on balanced images"
    assert all(trial.status == "finished" for trial in trials.values())
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    starts = Counter(event["trial"] for event in events if event["event"] == "start")
    assert all(starts[number] == 1 for number in before), "a finished cell was begun again"
    reports = Counter((event["trial"], event["step"]) for event in events if event["event"] == "report")
    assert set(reports.values()) == {1}
    assert_mlflow_has_every_report_once(home, trials)
    with (folder / "table.csv").open(newline="") as opened:
        assert [row["method"] for row in csv.DictReader(opened)] == METHODS
    assert {"table.md", "methods.png", "curves.png", "panels.png"} <= {file.name for file in folder.iterdir()}
