"""suggest-k as a command: it is killed, goes on where it was, and takes more seeds afterwards; what it leaves."""

import csv
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from classifiers import give_classifier
from mlflow.tracking import MlflowClient
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

from eig_tune.tracking import local_uri

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


def suggest_k(space: Path, home: Path, *options: str) -> "subprocess.Popen[str]":
    give_classifier(home)
    command = [str(EIG_TUNE), "suggest-k", "--space", str(space), "--home", str(home), "--name", NAME, "--gpus", "0"]
    command += ["--categories", "3,2", "--steps", "20", "--cpus", "2", "--resume", "--json", *options]
    with home.with_suffix(".log").open("a") as log:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=dict(os.environ))


@pytest.mark.long
def test_killed_suggestion_goes_on_and_takes_more_seeds(tmp_path: Path) -> None:
    space, home = write_space(tmp_path), tmp_path / "home"
    process = suggest_k(space, home)
    assert wait_for_events(home, 8, process, timeout=300), log_of(home)
    kill(process)
    before = {number for number, trial in trials_of(home).items() if trial.status == "finished"}
    output, _ = suggest_k(space, home).communicate(timeout=300)
    document = json.loads(output)
    assert document["complete"], log_of(home)
    assert [(row["categories"], row["seeds"]) for row in document["categories"]] == [(2, 3), (3, 3)]
    assert document["recommended"] in (2, 3)

    output, _ = suggest_k(space, home, "--seeds", "4").communicate(timeout=300)
    assert [row["seeds"] for row in json.loads(output)["categories"]] == [4, 4], log_of(home)
    folder, trials = home / "studies" / NAME, trials_of(home)
    assert len(trials) == 8 and {trial.status for trial in trials.values()} == {"finished"}
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    starts = Counter(event["trial"] for event in events if event["event"] == "start")
    assert all(starts[number] == 1 for number in before), "a finished run was begun again"
    assert_mlflow_has_every_report_once(home, trials)
    with (folder / "agreement.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert_mlflow_has_the_curve(home, rows)

    other = suggest_k(space, home, "--root", str(tmp_path), "--steps", "30")
    assert other.wait(timeout=300) == 2 and "train.steps: was 20, is now 30" in log_of(home)


def assert_mlflow_has_the_curve(home: Path, rows: list[dict[str, str]]) -> None:
    client = MlflowClient(local_uri(home))
    (experiment,) = client.search_experiments(filter_string=f"name = '{NAME}'")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`eig_tune.kind` = 'suggestion'")
    history = {point.step: point.value for point in client.get_metric_history(parent.info.run_id, "agreement")}
    assert history == {int(row["categories"]): float(row["agreement"]) for row in rows}
    assert "agreement.png" in {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert "Recommended: K = " in parent.data.tags["mlflow.note.content"]
    assert "not used for the choice" in parent.data.tags["mlflow.note.content"]


def test_wrong_options_are_one_message(tmp_path: Path) -> None:
    space = write_space(tmp_path)
    command = [str(EIG_TUNE), "suggest-k", "--space", str(space), "--home", str(tmp_path / "home")]
    for options, message in (
        (["--categories", "1,5"], "--categories: got '1,5'"),
        (["--seeds", "2"], "--seeds: got 2"),
        (["--best-of", "nothing"], "there is no search here yet"),
    ):
        ran = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        assert ran.returncode == 2 and message in ran.stderr and "Traceback" not in ran.stderr, ran.stderr
