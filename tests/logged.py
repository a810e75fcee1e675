"""What the package logs, as a terminal shows it."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from eig_tune.terminal.logs import TerminalHandler


class Shown:
    """Lines of the log so far."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.handler = TerminalHandler(Console(file=self._file, width=80))

    @property
    def text(self) -> str:
        return self._file.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@contextmanager
def logged() -> Iterator[Shown]:
    """The log of the block."""
    shown, logger = Shown(), logging.getLogger("eig_tune")
    level = logger.level
    logger.addHandler(shown.handler)
    logger.setLevel(logging.INFO)
    try:
        yield shown
    finally:
        logger.removeHandler(shown.handler)
        logger.setLevel(level)
