"""How a command ends whose work may not be done: its exit code says why it is not."""

import typer

from eig_tune.cli.hints import resumed
from eig_tune.stopping import STOPPED_CODE, Interrupted, Stop


def end(stop: Stop, stopped: str) -> None:
    """End the command here if its work is not done.

    Args:
        stop: what has asked for the end.
        stopped: why the work is not done; empty when it is.

    Raises:
        Interrupted: a signal has asked for the end.
        typer.Exit: the time budget is over, or another shell has asked for the end.
    """
    from eig_tune.terminal.console import message_console

    if stopped:
        message_console().print(f"go on with: {resumed()}", soft_wrap=True)
    if stop.signal is not None:
        raise Interrupted(stop.signal)
    if stopped:
        raise typer.Exit(STOPPED_CODE)
