"""The event log: one process, an order that no clock disturbs, and errors named by what they are."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eig_tune.cluster.replaced_checkpoints import ReplacedCheckpoints
from eig_tune.cluster.storage import Storage
from eig_tune.config.space import parse_spec
from eig_tune.errors import EigTuneError, ResultError, StorageError
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import CONTINUE, Trial


def no_locks(monkeypatch: pytest.MonkeyPatch, code: int = errno.ENOLCK) -> None:
    """A file system without locks: Lustre without the option ``flock``, NFS without its lock daemon."""

    def refuse(file: object, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)


def note(event_log: EventLog, number: int, *steps: int) -> None:
    event_log.propose(number, {"lambda_1": 1.0})
    for step in steps:
        event_log.report(number, step, {"nmi": 0.5, "prior_rmse": 0.1}, CONTINUE)


def test_search_that_runs_already_is_reported_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "digits" / "events.jsonl"
    with EventLog(path), pytest.raises(ResultError) as refused:
        EventLog(path)
    me = f"process {os.getpid()} on {socket.gethostname()}"
    assert str(refused.value) == f"digits: this search is running already, in {me}"
    with EventLog(path):
        pass
    assert [file.name for file in path.parent.iterdir()] == ["events.jsonl"]


def test_lock_is_gone_with_the_event_log_also_when_a_child_has_just_been_forked(tmp_path: Path) -> None:
    """Until it runs its own program it has a copy of every open file."""
    path = tmp_path / "search" / "events.jsonl"
    with EventLog(path):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with EventLog(path) as event_log:
            assert not event_log.trials
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    no_locks(monkeypatch, code)
    path = tmp_path / "digits" / "events.jsonl"
    for _ in range(2):
        with EventLog(path) as event_log:
            event_log.begin({})
    assert [file.name for file in path.parent.iterdir()] == ["events.jsonl"]


def test_without_locks_a_file_says_which_process_runs_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_locks(monkeypatch)
    owner = tmp_path / "events.lock"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        owner.write_text(f"process {other.pid} on {socket.gethostname()}")
        with pytest.raises(ResultError, match=rf"running already, in process {other.pid} on .* delete the file"):
            EventLog(tmp_path / "events.jsonl")
    with EventLog(tmp_path / "events.jsonl"):
        pass  # that process of this machine is gone, which can be seen here
    owner.write_text("process 1234567 on another-machine")
    with pytest.raises(ResultError, match=r"in process 1234567 on another-machine, says .*events\.lock"):
        EventLog(tmp_path / "events.jsonl")
    assert owner.exists()


@pytest.mark.parametrize("code", [errno.EROFS, errno.EDQUOT, errno.EIO])
def test_event_log_that_cannot_be_locked_or_opened_is_reported_by_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    no_locks(monkeypatch, code)
    with pytest.raises(StorageError, match=f"events.jsonl cannot be opened .{os.strerror(code)}"):
        EventLog(tmp_path / "events.jsonl")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be opened"):
        EventLog(tmp_path / "file" / "events.jsonl")


@pytest.mark.parametrize("line", ["[]", "{}", '{"event": "pause", "trial": 7}', '{"event": "report"', "\0\0\0", "7"])
def test_damaged_event_log_is_one_line_and_may_be_opened_again(tmp_path: Path, line: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{line}\n")
    for _ in range(2):
        with pytest.raises(EigTuneError, match="damaged") as refused:
            EventLog(path)
        assert "\n" not in str(refused.value)


def set_clock(monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + ahead)


def test_times_never_go_back_when_the_clock_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as event_log:
        note(event_log, 0, 500)
        with monkeypatch.context() as patch:
            set_clock(patch, -3600.0)
            time.sleep(0.01)
            event_log.report(0, 1000, {"nmi": 0.5}, CONTINUE)
    set_clock(monkeypatch, -7200.0)
    with EventLog(path) as event_log:
        ended = event_log.end(0, "finished", "")
        first, second = event_log.trials[0].reports.values()
        assert ended.ended_at is not None
        assert ended.at <= first.at < second.at <= ended.ended_at < first.at + 60


def test_resumed_search_compares_at_the_rungs_as_before_whatever_the_clock_said(tmp_path: Path) -> None:
    """Trial 1 reached the second rung at a time before all others; its report there must not count at the first."""
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 9000, "report_every": 500},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "trials": 9,
    }
    path = tmp_path / "events.jsonl"
    lines = [
        '{"event": "trial", "trial": 0, "values": {"lambda_1": 1.0}, "at": 100}',
        '{"event": "trial", "trial": 1, "values": {"lambda_1": 1.0}, "at": 101}',
        report(0, 500, 0.5, at=110),
        report(1, 500, 0.1, at=111),
        report(1, 1500, 0.9, at=11),
    ]
    path.write_text("\n".join(lines) + "\n")
    with EventLog(path) as event_log:
        policy = SearchPolicy(parse_spec(document, "test"))
        Engine(policy, event_log)
        assert policy._halving._rungs[500]._losses == [(-0.5, 0.1), (-0.1, 0.1)]
        trial: Trial = event_log.trials[1]
        assert trial.last is not None and trial.last.step == 1500 and trial.last.at == 111


def report(trial: int, step: int, nmi: float, at: float) -> str:
    return (
        f'{{"event": "report", "trial": {trial}, "step": {step}, "metrics": {{"nmi": {nmi}, "prior_rmse": 0.1}}, '
        f'"verdict": "running", "reason": "", "at": {at}}}'
    )


def test_what_was_noted_is_on_the_disk_a_second_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def noted(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    path = tmp_path / "events.jsonl"
    with EventLog(path) as event_log:
        note(event_log, 0, 500, 1000)
        event_log.checkpoint(0, "somewhere", 1000)  # less than a second after the one that was synced
        assert synced and synced[-1] < path.stat().st_size
        event_log.heartbeat()
        assert synced[-1] < path.stat().st_size, "an fsync a second is enough"
        ticks = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: ticks() + 2)
        event_log.heartbeat()
        assert synced[-1] == path.stat().st_size
        event_log.pause(0)
    assert synced[-1] == path.stat().st_size


def test_older_checkpoint_goes_when_the_newer_one_and_the_event_log_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, delete = os.fsync, Storage.delete

    def syncing(file: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{file}').readlink().relative_to(tmp_path)}")
        fsync(file)

    def deleting(storage: Storage, location: str) -> None:
        done.append(f"delete {Path(location).relative_to(tmp_path)}")
        delete(storage, location)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Storage, "delete", deleting)
    with EventLog(tmp_path / "events.jsonl") as event_log:
        note(event_log, 0, 500, 1000)
        replaced = ReplacedCheckpoints(Storage(str(tmp_path)), event_log.sync)
        done.clear()
        for step in (500, 1000):
            folder = tmp_path / f"trial/{step}"
            folder.mkdir(parents=True)
            (folder / "run.json").touch()
            event_log.checkpoint(0, str(folder), step)
        replaced.add(str(tmp_path / "trial/500"), str(tmp_path / "trial/1000"))
        replaced.close()
    assert done == [
        "sync trial/1000/run.json",
        "sync trial/1000",
        "sync trial",
        "sync events.jsonl",
        "delete trial/500",
    ]
    assert [folder.name for folder in (tmp_path / "trial").iterdir()] == ["1000"]


def test_checkpoint_stays_when_what_replaces_it_cannot_be_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (500, 1000):
        (tmp_path / f"{step}").mkdir()

    def failing(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with EventLog(tmp_path / "events.jsonl") as event_log:
        note(event_log, 0, 500)
        replaced = ReplacedCheckpoints(Storage(str(tmp_path)), event_log.sync)
        monkeypatch.setattr(os, "fsync", failing)
        replaced.add(str(tmp_path / "500"), str(tmp_path / "1000"))
        replaced.close()
        monkeypatch.undo()
    assert (tmp_path / "500").is_dir()
