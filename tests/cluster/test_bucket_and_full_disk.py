"""Checkpoints in an S3-compatible store, and full disks: nothing is lost, little is left, no key is printed."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoint_rule import MOST_KEPT, assert_only_the_best_keep_checkpoints
from s3_server import BUCKET, KEYS, S3Server
from searches import (
    EIG_TUNE,
    assert_mlflow_has_every_report_once,
    assert_study_agrees,
    events,
    fill,
    kill,
    log_of,
    start,
    steps_run,
    trials_of,
    wait_for_events,
    write_space,
)

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    running = S3Server(tmp_path)
    yield running
    running.kill()


def checkpoints(s3: S3Server) -> list[str]:
    return [key for key in s3.files() if key.endswith("state.safetensors")]


def test_search_in_a_bucket_is_killed_and_resumed_elsewhere(s3: S3Server, tmp_path: Path) -> None:
    """The second process has another folder of the bucket, and finds the checkpoints of the first one."""
    space, home, where = write_space(tmp_path), tmp_path / "home", f"s3://{BUCKET}/checkpoints"
    process = start(space, home, "--trials", "8", "--storage", where, environment=s3.environment)
    assert wait_for_events(home, 25, process), log_of(home)
    kill(process)
    stopped_at = {n: t.checkpoint_step for n, t in trials_of(home).items() if not t.ended}
    assert stopped_at and all(t.checkpoint.startswith(where) for t in trials_of(home).values() if t.checkpoint)
    process = start(
        space, home, "--storage", f"{where}-elsewhere", "--trials", "8", "--json", environment=s3.environment
    )
    assert process.wait(timeout=300) == 0, log_of(home)
    trials, log = trials_of(home), log_of(home)
    assert all(trial.status in ("finished", "stopped") for trial in trials.values())
    assert len(list(steps_run(home))) == len(set(steps_run(home))), "a report is doubled"
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)
    assert re.search(r"on disk: checkpoints \d.* in s3://", log)
    document = json.loads(log[log.index("\n{") :])
    assert document["disk"]["checkpoints"] > 10_000 and document["disk"]["kept"] > 10_000
    here = [key for key in checkpoints(s3) if key.startswith("checkpoints-elsewhere/")]
    assert 0 < len(here) <= MOST_KEPT, "checkpoints that nobody needs are left in the bucket"
    assert len(checkpoints(s3)) - len(here) <= len(stopped_at) + MOST_KEPT, "and in the folder of before"
    bundle = tmp_path / "bundle"
    command = [str(EIG_TUNE), "best", "--home", str(home), "--by", "neighbour_nmi", "--export", str(bundle)]
    subprocess.run(command, check=True, capture_output=True)
    assert (bundle / "weights.safetensors").is_file()
    everything = b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file()) + log.encode()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert not re.search(KEYS[name].encode(), everything), name


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two small disks."""
    folders = (tmp_path / "disk1", tmp_path / "disk2")
    for folder in folders:
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=False).returncode:
            pytest.skip("needs the right to mount a tmpfs")
    yield folders
    for folder in folders:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.long
def test_full_disks_are_one_message_each_and_nothing_is_lost(disks: tuple[Path, Path], tmp_path: Path) -> None:
    """First there is no room for checkpoints, then none for the home, and then there is."""
    space, home, checkpoints = write_space(tmp_path), disks[0], disks[1] / "checkpoints"
    options = ("--storage", str(checkpoints), "--trials", "6")
    for disk in (disks[1], disks[0]):
        process = start(space, home, *options)
        assert wait_for_events(home, events(home) + 10, process), log_of(home)
        filler = fill(disk)
        assert process.wait(timeout=120) == 2, log_of(home)
        message = log_of(home).splitlines()[-1]
        assert message.startswith("eig-tune: ") and "No space left on device" in message and "--resume" in message
        assert "Traceback" not in log_of(home)
        filler.unlink()
        home.with_suffix(".log").unlink()
    assert start(space, home, *options).wait(timeout=300) == 0, log_of(home)
    trials = trials_of(home)
    assert all(trial.status in ("finished", "stopped") for trial in trials.values())
    assert len(list(steps_run(home))) == len(set(steps_run(home))), "a report is doubled"
    assert_mlflow_has_every_report_once(home, trials)
    assert_study_agrees(home, trials)
    assert_only_the_best_keep_checkpoints(checkpoints, trials.values(), [])
