"""The event log of a search: its state in an append-only file.

Rungs, the sampler's studies, MLflow's runs and the table of curves are views of this one file, so that after any crash
they are all made again from the same events. One JSON object a line, in the order in which the events came; a torn last
line is ignored. An event is with the kernel before anything acts on it, so that no kill loses one; a power failure may
lose those of the last second.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType

from eig_tune.errors import MEND_AND_RESUME, ResultError, StorageError
from eig_tune.hpo.lock import Lock
from eig_tune.hpo.state import Event, SearchState

_SYNC_EVERY_SECONDS = 1.0


class EventLog(SearchState):
    """The state of a search, every event of which is in a file.

    Args:
        path: the file; events already in it are read first.
        root: the storage; the paths of checkpoints in it are noted without it, so that it may be moved.

    Raises:
        ResultError: another process has it open, or it is damaged.
        StorageError: it cannot be opened; by every method that adds an event, from when it cannot be written any more.
    """

    def __init__(self, path: Path, root: str = "") -> None:
        super().__init__(root)
        self._full: StorageError | None = None
        self._num_on_disk, self._synced = 0, 0.0
        self._file, self._lock = _open(path)
        try:
            _replay(path, self, mend=True)
        except (ResultError, StorageError):
            self._close()
            raise

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
        return None if self._full is None else str(self._full)

    def heartbeat(self) -> None:
        """Called several times a second: what was written longer than a second ago is on the disk afterwards."""
        if time.monotonic() - self._synced > _SYNC_EVERY_SECONDS:
            self.sync()

    def sync(self) -> None:
        """All events are on the disk afterwards, where no power failure takes them away."""
        if self._full is None and self._num_on_disk < self.num_events:
            num_events = self.num_events
            with self._halting():
                os.fsync(self._file.fileno())
            self._num_on_disk, self._synced = num_events, time.monotonic()

    def _record(self, event: Event) -> None:
        super()._record(event)
        self.heartbeat()

    def _write(self, event: Event) -> None:
        if self._full is not None:
            raise self._full
        line = (json.dumps(event) + "\n").encode()
        with self._halting():
            while line:
                line = line[self._file.write(line) :]

    @contextmanager
    def _halting(self) -> Iterator[None]:
        """After an error a line may be torn, or not on the disk, and nothing may come behind it."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            self._full = StorageError(f"{self._file.name} cannot be written ({reason}); {MEND_AND_RESUME}")
            raise self._full from error


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


def read_state(path: Path) -> SearchState:
    """The state that an event log has now, also while another process adds to it; the file is left as it is.

    Raises:
        ResultError: it is damaged.
        StorageError: it cannot be read.
    """
    state = SearchState()
    _replay(path, state, mend=False)
    return state


def _replay(path: Path, state: SearchState, *, mend: bool) -> None:
    """Apply every whole event of the file; ``mend`` cuts off a last line that a crash has torn."""
    try:
        raw = path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if mend and len(whole) < len(raw):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        for line in whole.splitlines():
            state.apply(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultError(f"{path}: the event log of this search is damaged ({error!r})") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}); {MEND_AND_RESUME}") from error
