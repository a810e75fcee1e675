"""The event log of a search: an append-only file of events from which everything else is derived.

Rungs, the sampler's study, MLflow's runs and the table of curves are views of this one file, so that after any death
they are all rebuilt from the same truth. One JSON object a line; a torn last line is ignored. An event is with the
kernel before anybody acts on it, so that no kill loses one; a power failure may lose those of the last second. Order
is that of the lines. The times in them, seconds since the epoch, never go back, whatever the machine's clock does.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from eig_tune.errors import MEND_AND_RESUME, ResultError, StorageError
from eig_tune.hpo.lock import Lock
from eig_tune.hpo.trial import Report, Status, Trial

_SYNC_EVERY_SECONDS = 1.0


class EventLog:
    """Events on disk, and the trials they make.

    Args:
        path: the file; events already in it are read first.
        root: the storage; the paths of checkpoints in it are noted without it, so that it may be moved.

    Attributes:
        reports: every report with its trial, in the order they came.

    Raises:
        ResultError: another process has it open, or it is damaged.
        StorageError: it cannot be opened; by every method that notes something, from when it cannot be written any
            more.
    """

    def __init__(self, path: Path, root: str = "") -> None:
        self._root = root
        self.trials: dict[int, Trial] = {}
        self.reports: list[tuple[Trial, Report]] = []
        self.header: dict[str, Any] = {}
        self.notes: dict[str, Any] = {}
        self._full: StorageError | None = None
        self._events = self._on_disk = 0
        self._now, self._ticks, self._synced = 0.0, time.monotonic(), 0.0
        self._file, self._lock = _open(path)
        try:
            for event in _read(path):
                self._apply(event)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._close()
            raise ResultError(f"{path}: the event log of this search is damaged ({error!r})") from error
        except OSError as error:
            self._close()
            raise StorageError(f"{path} cannot be read ({error.strerror or error}); {MEND_AND_RESUME}") from error

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.sync()
        except StorageError:
            if error is None:
                raise
        finally:
            self._close()

    def _close(self) -> None:
        self._lock.close()
        self._file.close()

    @property
    def trouble(self) -> str | None:
        """Why nothing can be noted any more, or None."""
        return None if self._full is None else str(self._full)

    def begin(self, header: Mapping[str, Any]) -> None:
        """Note what makes this search this search."""
        self._append({"event": "search", "header": dict(header)})

    def note(self, notes: Mapping[str, Any]) -> None:
        """Anything else that has to be known after a death; a note of the same name is replaced."""
        self._append({"event": "note", "notes": dict(notes)})

    def propose(self, number: int, values: Mapping[str, Any]) -> Trial:
        """A new trial."""
        self._append({"event": "trial", "trial": number, "values": dict(values)})
        return self.trials[number]

    def start(self, number: int, ray_trial_id: str) -> None:
        """A trial begins, or goes on, as Ray's trial ``runner``."""
        self._append({"event": "start", "trial": number, "runner": ray_trial_id})

    def report(self, number: int, step: int, metrics: Mapping[str, float], decision: Status, reason: str) -> Report:
        """A trial's report and the decision on it."""
        self._append(
            {
                "event": "report",
                "trial": number,
                "step": step,
                "metrics": dict(metrics),
                "verdict": decision,
                "reason": reason,
            }
        )
        return self.trials[number].reports[step]

    def checkpoint(self, number: int, location: str | None, step: int) -> None:
        """A trial's newest checkpoint, of ``step``, is whole and lies at ``location``; None when it has none."""
        event = {"event": "checkpoint", "trial": number, "path": location, "step": step}
        if self._root and location is not None and location.startswith(f"{self._root}/"):
            event |= {"path": location.removeprefix(f"{self._root}/"), "in": self._root}
        self._append(event)

    def pause(self, number: int) -> None:
        """A trial rests at its rung."""
        self._append({"event": "pause", "trial": number})

    def end(self, number: int, status: Status, reason: str) -> Trial:
        """A trial is over; nothing will be added to it."""
        self._append({"event": "end", "trial": number, "status": status, "reason": reason})
        return self.trials[number]

    def tick(self) -> None:
        """Called several times a second: what was noted longer than a second ago is on the disk afterwards."""
        if time.monotonic() - self._synced > _SYNC_EVERY_SECONDS:
            self.sync()

    def sync(self) -> None:
        """All that has been noted is on the disk afterwards, where no power failure takes it away."""
        if self._full is None and self._on_disk < self._events:
            events = self._events
            with self._halting():
                os.fsync(self._file.fileno())
            self._on_disk, self._synced = events, time.monotonic()

    def _append(self, event: dict[str, Any]) -> None:
        if self._full is not None:
            raise self._full
        event["at"] = self._time()
        line = (json.dumps(event) + "\n").encode()
        with self._halting():
            while line:
                line = line[self._file.write(line) :]
        self._apply(event)
        self.tick()

    @contextmanager
    def _halting(self) -> Iterator[None]:
        """After an error a line may be torn, or not on the disk, and nothing may come behind it."""
        try:
            yield
        except OSError as error:
            told = error.strerror or error
            self._full = StorageError(f"{self._file.name} cannot be written ({told}); {MEND_AND_RESUME}")
            raise self._full from error

    def _time(self) -> float:
        """The machine's clock; when that has been set back, the time that has gone by since the event before."""
        ticks = time.monotonic()
        now = max(time.time(), self._now + ticks - self._ticks)
        self._ticks = ticks
        return now

    def _apply(self, event: dict[str, Any]) -> None:
        self._events += 1
        self._now = max(self._now, event.get("at", 0.0))
        if event["event"] == "search":
            self.header = event["header"]
            return
        if event["event"] == "note":
            self.notes |= event["notes"]
            return
        if event["event"] == "trial":
            trial = Trial(event["trial"], event["values"], self._now, newest_event=self._events)
            self.trials[trial.number] = trial
            return
        trial = self.trials[event["trial"]]
        trial.newest_event = self._events
        if event["event"] == "report":
            step, metrics, decision, reason = (event[name] for name in ("step", "metrics", "verdict", "reason"))
            report = Report(step, metrics, self._now, decision, reason)
            trial.reports[report.step] = report
            self.reports.append((trial, report))
        elif event["event"] == "start":
            trial.ray_trial_id, trial.status = event["runner"], "running"
        elif event["event"] == "pause":
            trial.status, trial.paused_at = "paused", trial.last.step if trial.last else None
        elif event["event"] == "checkpoint":
            before, step = trial.checkpoint, event["step"]
            # One that is set back has nothing before it to be set back to once more.
            trial.earlier = (before, trial.checkpoint_step) if before and step > trial.checkpoint_step else None
            trial.inside = event["path"] if "in" in event else None
            trial.checkpoint = event["path"] if trial.inside is None else f"{event['in']}/{trial.inside}"
            trial.checkpoint_step = step
        elif event["event"] == "end":
            trial.status, trial.reason, trial.ended_at = event["status"], event["reason"], self._now


def _open(path: Path) -> tuple[FileIO, Lock]:
    """The file, open to append to and locked."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # No buffer: what is left in one after an error would be written later, behind a torn line.
        file: FileIO = path.open("ab", buffering=0)
        try:
            return file, Lock(file, path)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise StorageError(f"{path} cannot be opened ({error.strerror or error}); {MEND_AND_RESUME}") from error


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole event of the file; a last line that a crash has torn is cut off the file."""
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return (json.loads(line) for line in whole.splitlines())
