"""A search runs in one process only: the lock of its event log, also where the file system has none.

The kernel lets go of its lock whenever and wherever the process ends. Lustre and some NFS have no such lock; there a
file names the process that runs the search, and a person has to delete it when that was killed on another machine.
"""

import contextlib
import errno
import fcntl
import os
import socket
import time
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from eig_tune.errors import ResultError

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_TRIES, _WAIT_SECONDS = 5, 0.05  # whoever looks at a lock has a share in it for a moment
_NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


class Lock:
    """The right to append to a file, held until it is closed or the process ends.

    Args:
        file: the open file.
        path: its path; a file beside it names the process that holds the lock.

    Raises:
        ResultError: another process has it.
        OSError: the file system refuses for another reason.
    """

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file, self._name = file, path.parent.name
        self._owner = path.with_suffix(".lock")
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _BUSY:
                raise self._running(f"in {_read(self._owner) or 'another process'}") from error
            if error.errno not in _NOT_SUPPORTED:
                raise
            self._take_by_name()
        else:
            with contextlib.suppress(OSError):  # it only helps a person
                self._owner.write_text(this_process())

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            self._owner.unlink()
        with contextlib.suppress(OSError, ValueError):  # ValueError: the file is closed already
            # Closing the file is not enough while a process that was just forked has a copy of it.
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _take_by_name(self) -> None:
        while True:
            try:
                with self._owner.open("x") as file:
                    file.write(this_process())
                return
            except FileExistsError as error:
                owner = _read(self._owner)
                if not _is_gone(owner):
                    raise self._running(
                        f"in {owner or 'another process'}, says {self._owner} (this file system has no locks); if "
                        "that process is gone, delete the file"
                    ) from error
                self._owner.unlink(missing_ok=True)

    def _running(self, where: str) -> ResultError:
        return ResultError(f"{self._name}: this search is running already, {where}")


@dataclass(frozen=True)
class Seen:
    """What another process can see of a lock.

    Attributes:
        held: whether a process holds it.
        owner: ``process 17 on HOST``: who holds it, or has held it last and was killed; empty where nobody has.
    """

    held: bool
    owner: str


def look(path: Path) -> Seen:
    """Whether a process appends to the file at ``path`` now, which is left as it is.

    Where the file system has no locks, the process that is named beside the file counts as running unless it was one of
    this machine and runs no more.

    Raises:
        OSError: there is no such file, or it cannot be looked at.
    """
    owner = _read(path.with_suffix(".lock"))
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                return Seen(True, owner or "another process")
            if error.errno not in _NOT_SUPPORTED:
                raise
            return Seen(bool(owner) and not _is_gone(owner), owner)
        fcntl.flock(file, fcntl.LOCK_UN)
    return Seen(False, owner)


def _lock(file: FileIO) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _BUSY or not left:
                raise
            time.sleep(_WAIT_SECONDS)


def this_process() -> str:
    """This process, as the file beside a lock names it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _read(owner: Path) -> str:
    try:
        return " ".join(owner.read_text(errors="replace")[:200].split())
    except OSError:
        return ""


def _is_gone(owner: str) -> bool:
    """Whether it was a process of this machine that runs no more."""
    words = owner.split()
    try:
        pid, host = int(words[1]), words[3]
    except (IndexError, ValueError):
        return False
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return pid == os.getpid()
