"""The consoles: messages, progress and tables go to stderr, because stdout is for results."""

import sys
from functools import cache
from typing import Any

from rich.console import Console

_WIDTH_OF_A_LOG = 160


def notebook_console() -> Console:
    """A console whose lines appear as text below the notebook cell that runs; stderr would be red there."""
    as_it_is: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    return Console(file=sys.stdout, force_terminal=False, force_jupyter=False, width=_WIDTH_OF_A_LOG, **as_it_is)


def result_console() -> Console:
    """A console for results, on stdout; text is shown as it is."""
    as_it_is: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    console = Console(**as_it_is)
    return console if console.is_terminal else Console(**as_it_is, width=_WIDTH_OF_A_LOG)


@cache
def message_console() -> Console:
    """The one console on stderr of this process: what is printed while a live table is shown appears above the table.

    Text is shown as it is, because a name or a path may have [brackets] and :colons: in it.
    """
    as_it_is: dict[str, Any] = {"stderr": True, "markup": False, "emoji": False, "highlight": False}
    console = Console(**as_it_is)
    return console if console.is_terminal else Console(**as_it_is, width=_WIDTH_OF_A_LOG)
