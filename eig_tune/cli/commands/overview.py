"""``eig-tune list`` and ``eig-tune status``: the searches of a home, seen from any shell."""

import signal
from typing import Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.options import HomeOption, JsonOption
from eig_tune.errors import EigTuneError
from eig_tune.home import DEFAULT_HOME
from eig_tune.stopping import Interrupted

SearchArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the search.")]


def list_searches(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List every search, comparison and suggestion of a home: state, trials, best, last event, size on the disk.

    The state is running, complete, stopped (before all was done), killed (its process was), or damaged.
    """
    from eig_tune.api.running import home_at
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.overview import print_list
    from eig_tune.workflows.overview import look_at_all
    from eig_tune.workflows.overview_document import overview_document

    place = home_at(home)
    searches = look_at_all(place)
    if as_json:
        typer.echo(strict_json.dumps([overview_document(search) for search in searches]))
    elif searches:
        print_list(searches, result_console())
    else:
        message_console().print(f"there is no search in {place.path} yet", soft_wrap=True)


def status(
    name: SearchArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Show it until the search ends, or until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="With --watch: seconds from one look to the next.")] = 2.0,
    everything: Annotated[bool, typer.Option("--all", help="Show all trials, also those that ended long ago.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show how far a search is, from any shell that sees its home: its trials with params, rung and step, the best, the
    time left."""
    from eig_tune.api.running import home_at
    from eig_tune.terminal.console import result_console
    from eig_tune.terminal.overview import print_status
    from eig_tune.terminal.overview import watch as show_again
    from eig_tune.workflows.overview import look_at
    from eig_tune.workflows.overview_document import status_document

    place = home_at(home)
    if watch and as_json:
        raise EigTuneError("--watch: shows a table for people; for scripts call `status --json` again and again")
    if not watch:
        search = look_at(place, name)
        if as_json:
            typer.echo(strict_json.dumps(status_document(search)))
        else:
            print_status(search, result_console(), everything)
        return
    try:
        show_again(lambda: look_at(place, name), every, result_console())
    except Interrupted as interrupted:
        if interrupted.number != signal.SIGINT:
            raise
