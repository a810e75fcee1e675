"""The console for a person: messages, progress and tables go to stderr, because stdout is for results."""

from functools import cache
from typing import Any

from rich.console import Console

_WIDTH_OF_A_LOG = 160


@cache
def message_console() -> Console:
    """The one console on stderr of this process: what is printed while a live table is shown appears above the table.

    Text is shown as it is, because a name or a path may have [brackets] and :colons: in it.
    """
    as_it_is: dict[str, Any] = {"stderr": True, "markup": False, "emoji": False, "highlight": False}
    console = Console(**as_it_is)
    return console if console.is_terminal else Console(**as_it_is, width=_WIDTH_OF_A_LOG)
