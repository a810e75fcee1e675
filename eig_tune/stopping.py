"""When a command ends before its work is done: somebody interrupts it, or its time is over.

SIGINT (Ctrl-C), SIGTERM (Slurm, Kubernetes, ``timeout``) and SIGHUP (a lost connection) ask for the same: once for a
gentle end, which keeps everything, and once more for an end at once. What a shell has set to be ignored
(``nohup``, ``&``) is ignored.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import ClassVar

from eig_tune.errors import EigTuneError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `timeout` sends its signal to the command and to the command's group, so that it comes twice at the same moment.
_SAME_SIGNAL_SECONDS = 0.5
# Who sends SIGTERM sends SIGKILL afterwards: Slurm and Kubernetes after 30 s.
_GENTLE_SECONDS = 25.0
_PATIENCE, _LATE_PATIENCE, _SHORT_PATIENCE = 180.0, 60.0, 10.0
_LOOK_EVERY_SECONDS = 1.0  # for a file that asks for the end
_LONGEST_REQUEST = 200  # characters of it that are read
STOPPED_CODE = 3  # the exit code of a command that was to end before its work was done
_FIRST_CODE = 128  # a shell's exit code for the signal n is 128 + n


class Interrupted(BaseException):
    """Somebody has sent the signal ``number``; no ``except Exception`` takes it for an error."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"interrupted by {signal.Signals(number).name}")

    @property
    def message(self) -> str:
        """The line with which the command ends."""
        return f"{self}; a search, comparison or run goes on with --resume"

    @property
    def exit_code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return _FIRST_CODE + self.number


class StoppedError(EigTuneError):
    """The work was to end before anything could begin: its time is over, or another shell has asked for its end."""

    exit_code = STOPPED_CODE


class Stop:
    """Whether the work shall end now.

    Args:
        seconds: how long it may take from now on.

    Attributes:
        signal: the signal that has asked for the end, or None.
    """

    signals: ClassVar[Sequence[signal.Signals]] = _SIGNALS

    def __init__(self, seconds: float | None = None) -> None:
        self.signal: int | None = None
        self._ends_at = None if seconds is None else time.monotonic() + seconds
        self._signalled_at = 0.0
        self._gently = False
        self._watchdog: threading.Timer | None = None
        self._request: Path | None = None
        self._request_looked_at, self._request_seen = 0.0, ""

    @property
    def asked(self) -> bool:
        """Whether it shall."""
        return bool(self.reason)

    @property
    def reason(self) -> str:
        """Why it shall end, or nothing."""
        if self.signal is not None:
            return str(Interrupted(self.signal))
        if requested := self._requested():
            return f"stopped by eig-tune stop ({requested})"
        return "the time budget is over" if self._ends_at is not None and time.monotonic() > self._ends_at else ""

    @property
    def patience(self) -> float:
        """For how many seconds others may be waited for at the end."""
        if self.signal is not None:
            return _SHORT_PATIENCE
        return _LATE_PATIENCE if self.asked else _PATIENCE

    def check(self) -> None:
        """Go on, or end here.

        Raises:
            Interrupted: somebody wants it to end.
            StoppedError: its time is over, or another shell has asked for its end.
        """
        if self.signal is not None:
            raise Interrupted(self.signal)
        if requested := self._requested():
            raise StoppedError(f"stopped by eig-tune stop ({requested}) before a trial could begin")
        if self.asked:
            raise StoppedError("--time-budget: it was over before the first trial could begin; give more")

    @contextmanager
    def heeding(self, request: Path) -> Iterator[None]:
        """In this block a file at ``request`` asks for the end, too. One from before is removed."""
        request.unlink(missing_ok=True)
        self._request = request
        try:
            yield
        finally:
            self._request = None
            with suppress(OSError):
                request.unlink(missing_ok=True)

    def _requested(self) -> str:
        """Who has asked for the end by a file, or nothing; looked for once a second."""
        due = time.monotonic() - self._request_looked_at >= _LOOK_EVERY_SECONDS
        if self._request is not None and not self._request_seen and due:
            self._request_looked_at = time.monotonic()
            with suppress(OSError):
                who = self._request.read_text(encoding="utf-8", errors="replace")[:_LONGEST_REQUEST]
                self._request_seen = " ".join(who.split()) or "by nobody who says so"
        return self._request_seen

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Signals come here from now on, until the end of the block."""
        before = {number: signal.getsignal(number) for number in self._heard()}
        self.listen()
        try:
            yield self
        finally:
            if self._watchdog is not None:
                self._watchdog.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Signals come here, also if a library has taken them for itself meanwhile."""
        for number in self._heard():
            signal.signal(number, self._come)

    @contextmanager
    def gently(self) -> Iterator[None]:
        """In this block a signal is noted, to be asked for; elsewhere it raises :class:`Interrupted`."""
        self._gently = True
        try:
            yield
        finally:
            self._gently = False

    def _heard(self) -> list[signal.Signals]:
        """Python lets only its first thread set handlers."""
        if threading.current_thread() is not threading.main_thread():
            return []
        return [number for number in self.signals if signal.getsignal(number) is not signal.SIG_IGN]

    def _come(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self._first(number, frame)
        elif time.monotonic() - self._signalled_at > _SAME_SIGNAL_SECONDS:
            self._end_now(number)

    def _end_now(self, number: int) -> None:
        end_at_once(number)

    def _first(self, number: int, frame: FrameType | None) -> None:
        self.signal, self._signalled_at = number, time.monotonic()
        if number == signal.SIGHUP:
            _forget_the_terminal()
        if number != signal.SIGINT:
            self._watchdog = threading.Timer(_GENTLE_SECONDS, end_at_once, (number,))
            self._watchdog.daemon = True
            self._watchdog.start()
        if not self._gently:
            if _importing(frame):
                # Half-imported, NumPy raises something else and PyTorch aborts. Nothing has begun that could be lost.
                self._end_import(number)
            raise Interrupted(number)

    def _end_import(self, number: int) -> None:
        os.write(sys.stderr.fileno(), f"eig-tune: {Interrupted(number).message}\n".encode())
        end_at_once(number)


class InterruptStop(Stop):
    """A stop for a process that goes on afterwards, such as a notebook's: it hears SIGINT only and never ends the
    process. A second SIGINT raises ``KeyboardInterrupt``."""

    signals = (signal.SIGINT,)

    def _end_now(self, number: int) -> None:
        raise KeyboardInterrupt

    def _end_import(self, number: int) -> None:
        """The import that is interrupted fails, as by any Ctrl-C in Python."""


@contextmanager
def sigterm_comes_later() -> Iterator[None]:
    """SIGTERM comes after this block, to its handler from before, whatever takes it in the block.

    Other threads have to leave it alone, too: :func:`leave_sigterm_alone`.
    """
    before, handler = leave_sigterm_alone(), signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_sigterm_alone() -> set[signal.Signals | int]:
    """SIGTERM does not come in this thread, nor in those that it starts; what has not come in it before."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def end_at_once(number: int, frame: FrameType | None = None) -> None:
    """As a kill would, which loses nothing."""
    os._exit(_FIRST_CODE + number)


def end_quietly_from_now_on() -> None:
    """All is done but the libraries' own tidying up, which a signal cuts short without a word."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end_at_once)


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is just being imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _forget_the_terminal() -> None:
    """It is gone, and every word to it would be an error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if os.isatty(stream.fileno()):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError):
            continue
