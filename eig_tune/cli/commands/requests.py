"""``eig-tune stop`` and ``eig-tune add``: what any shell that sees a home may ask of a search in it."""

from typing import TYPE_CHECKING, Annotated

import typer

from eig_tune.cli.commands.overview import SearchArgument
from eig_tune.cli.options import HomeOption
from eig_tune.home import DEFAULT_HOME

if TYPE_CHECKING:
    from eig_tune.workflows.overview import Overview


def stop(
    name: SearchArgument,
    patience: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for its end at most.")] = 120.0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Ask a running search to end gently, from any shell of any machine that sees its home, and wait until it has.

    Everything is kept, and `search --resume` goes on. A search that does not run is left as it is.
    """
    from eig_tune.api.running import home_at
    from eig_tune.terminal.console import message_console
    from eig_tune.terminal.overview import in_words
    from eig_tune.workflows.requests import ask_to_stop

    console = message_console()

    def say(search: "Overview") -> None:
        console.print(f"{search.name}: asked {search.lock.owner} to end", soft_wrap=True)

    search = ask_to_stop(home_at(home), name, patience, say)
    console.print(in_words(search), soft_wrap=True)


def add(
    name: SearchArgument,
    params: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Searched parameters, such as tau=0.2.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Add a trial of your own to a search; parameters that you do not give are chosen by the sampler.

    A search that runs tries it next. One that has ended, complete or not, does so when `search --resume` goes on.
    """
    from eig_tune.api.running import home_at
    from eig_tune.config.settings import parse_settings
    from eig_tune.hpo.trial import params_in_words
    from eig_tune.terminal.console import message_console
    from eig_tune.workflows.requests import add_trial

    point, number = add_trial(home_at(home), name, parse_settings(params, "eig-tune add"))
    when = "is the next trial, number {}" if number is not None else "waits until `eig-tune search --resume` goes on"
    message_console().print(f"{name}: {params_in_words(point)} {when.format(number)}", soft_wrap=True)
