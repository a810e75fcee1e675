"""What becomes of log records of ``eig_tune.*``: lines on the terminal, and in a file if one is asked for."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from eig_tune.errors import EigTuneError
from eig_tune.stopping import Interrupted
from eig_tune.terminal.console import message_console

_ROOT = "eig_tune"
_PRINTED = {"printed": True}
_STYLES = {logging.DEBUG: "dim", logging.INFO: "", logging.WARNING: "bold red", logging.ERROR: "bold red"}
_FILE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(verbose: bool, log_file: Path | None) -> None:
    """Show the package's log on stderr, and keep it in a file; replaces what an earlier call has set up.

    Args:
        verbose: show details as well as facts and warnings, Ray's own warnings among them.
        log_file: gets everything, with time and level, at its end; None is no file.

    Raises:
        EigTuneError: the file cannot be written.
    """
    handlers: list[logging.Handler] = [TerminalHandler(message_console(), logging.DEBUG if verbose else logging.INFO)]
    if log_file is not None:
        handlers.append(_opened(log_file))
    root = logging.getLogger(_ROOT)
    for handler in [*root.handlers]:
        if isinstance(handler, TerminalHandler | LogFile):
            root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(min(handler.level for handler in handlers))


@contextmanager
def shown_on(console: Console) -> Iterator[None]:
    """Show facts and warnings of the package on ``console`` until the end of the block; whoever has given the
    package's logger handlers before sees them there, and nothing here."""
    root = logging.getLogger(_ROOT)
    if root.handlers:
        yield
        return
    handler, level = TerminalHandler(console), root.level
    root.addHandler(handler)
    root.setLevel(handler.level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


class TerminalHandler(logging.Handler):
    """Prints a record as one line, however long, and above a live table if one is shown.

    Args:
        console: where to print.
        level: the lowest level that is shown.
    """

    def __init__(self, console: Console, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "printed", False):
            return
        try:
            prefix = f"{record.levelname} " if record.levelno >= logging.WARNING else ""
            text = "".join(sign for sign in self.format(record) if sign.isprintable() or sign == "\n")
            style = _STYLES.get(record.levelno, "")
            self._console.print(f"{prefix}{text}", style=style, markup=False, highlight=False, soft_wrap=True)
        except Exception:  # as every handler of the standard library: logging ends no work
            self.handleError(record)


class LogFile(logging.FileHandler):
    """Appends records to a file. When that cannot be written any more, says so once and gives it up."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter(_FILE_FORMAT))
        self.setLevel(logging.DEBUG)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is logging's)
        logging.getLogger(_ROOT).removeHandler(self)
        logging.getLogger(__name__).warning("--log-file: %s cannot be written any more (%s)", self.baseFilename, _why())


def log_last_error(error: BaseException) -> None:
    """Log the error that ends a command, for the log file alone: on the terminal it is the command's last line.

    A bug has its traceback there, too.
    """
    a_bug = not isinstance(error, EigTuneError | Interrupted)
    logging.getLogger(_ROOT).error("%s", error, exc_info=error if a_bug else None, extra=_PRINTED)


@contextmanager
def warnings_only() -> Iterator[None]:
    """Show no facts until the end of the block, where a live table shows them; verbose terminals show everything."""
    shown = [h for h in logging.getLogger(_ROOT).handlers if isinstance(h, TerminalHandler) and h.level == logging.INFO]
    for handler in shown:
        handler.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for handler in shown:
            handler.setLevel(logging.INFO)


def _opened(log_file: Path) -> LogFile:
    try:
        return LogFile(log_file)
    except OSError as error:
        raise EigTuneError(f"--log-file: {log_file} cannot be written ({error.strerror}); give another file") from error


def _why() -> str:
    error = sys.exception()
    return getattr(error, "strerror", None) or str(error)
