"""A search by real Ray where it may use less of the machine than there is, or of a GPU node's CPUs."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from classifiers import give_classifier
from searches import EIG_TUNE, event_log_file, trials_of, write_space

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


def most_at_once(home: Path) -> int:
    """The largest number of trials that ran at the same time."""
    running, most = set[int](), 0
    for line in event_log_file(home).read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "start":
            running.add(event["trial"])
        elif event["event"] in ("pause", "end"):
            running.discard(event["trial"])
        most = max(most, len(running))
    return most


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_search_on_one_cpu_of_several_runs_one_trial_at_a_time(tmp_path: Path) -> None:
    home, cpu = tmp_path / "home", str(min(os.sched_getaffinity(0)))
    give_classifier(home)
    command = [str(EIG_TUNE), "search", "--space", str(write_space(tmp_path)), "--home", str(home), "--trials", "2"]
    without_slurm = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    pinned = ["taskset", "-c", cpu, *command]
    done = subprocess.run(pinned, capture_output=True, text=True, timeout=300, check=False, env=without_slurm)
    assert done.returncode == 0, done.stderr[-3000:]
    why = f"1 of this machine's {os.cpu_count()} CPUs, by its CPU affinity"
    assert f"trials at once: 1: 1 on this machine (1 CPU, one a trial; this process may use {why})" in done.stderr
    assert most_at_once(home) == 1
    assert {trial.status for trial in trials_of(home).values()} <= {"finished", "stopped"}
    refused = subprocess.run(
        [*pinned, "--cpus", "2", "--name", "more"], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 2
    assert f"--cpus: asked for 2, but this process may use {why}; ask for at most 1" in refused.stderr


def test_plan_says_how_many_run_at_once(tmp_path: Path) -> None:
    command = [str(EIG_TUNE), "search", "--space", str(write_space(tmp_path)), "--home", str(tmp_path), "--dry-run"]
    cpu = str(min(os.sched_getaffinity(0)))
    done = subprocess.run(["taskset", "-c", cpu, *command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "trials at once: 1: 1 on this machine (1 CPU, one a trial" in done.stdout


def test_folder_for_temporary_files_that_is_too_long_for_sockets(tmp_path: Path) -> None:
    """One is taken that is short; one that is named for Ray alone is refused."""
    home, long = tmp_path / "home", tmp_path / ("long" * 30)
    long.mkdir()
    give_classifier(home)
    command = [str(EIG_TUNE), "search", "--space", str(write_space(tmp_path)), "--home", str(home), "--trials", "1"]

    def search(variable: str) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if name != "RAY_TMPDIR"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env={**environment, variable: str(long)}
        )

    refused = search("RAY_TMPDIR")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert f"RAY_TMPDIR: '{long}' has {len(str(long))} bytes" in refused.stderr
    done = search("TMPDIR")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "TMPDIR is too long for Ray's sockets; Ray's files lie in /tmp/ray" in done.stderr
