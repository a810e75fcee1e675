"""The consoles: results go to stdout, so that they can be piped and kept; messages and progress go to stderr."""

import os
import sys
from functools import cache
from typing import Any

from rich.console import Console

_WIDTH_OF_A_LOG = 160  # where there is no terminal, and COLUMNS does not say another one
# Text is shown as it is, because a name or a path may have [brackets] and :colons: in it.
_AS_IT_IS: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}


def notebook_console() -> Console:
    """A console whose lines appear as text below the notebook cell that runs; stderr would be red there."""
    return Console(file=sys.stdout, force_terminal=False, force_jupyter=False, width=_WIDTH_OF_A_LOG, **_AS_IT_IS)


def result_console(as_json: bool = False) -> Console:
    """A console for the results of a command, on stdout.

    Args:
        as_json: stdout is for JSON: results for people go to stderr, too.
    """
    return message_console() if as_json else _wide_where_it_is_no_terminal(stderr=False)


@cache
def message_console() -> Console:
    """The one console on stderr of this process: what is printed while a live table is shown appears above it."""
    return _wide_where_it_is_no_terminal(stderr=True)


def _wide_where_it_is_no_terminal(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, **_AS_IT_IS)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return console
    return Console(stderr=stderr, width=_WIDTH_OF_A_LOG, **_AS_IT_IS)
