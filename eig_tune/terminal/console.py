"""Where messages for a person go."""

from rich.console import Console

_WIDTH_OF_A_LOG = 160


def message_console() -> Console:
    """A console on stderr, which shows text as it is: a name or a path may have [brackets] and :colons: in it."""
    console = Console(stderr=True, markup=False, emoji=False)
    return console if console.is_terminal else Console(stderr=True, markup=False, emoji=False, width=_WIDTH_OF_A_LOG)
