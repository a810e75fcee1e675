"""``eig-tune delete``."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from eig_tune.cli.commands.overview import SearchArgument
from eig_tune.cli.options import HomeOption, UriOption
from eig_tune.errors import EigTuneError
from eig_tune.home import DEFAULT_HOME

if TYPE_CHECKING:
    from eig_tune.tracking.removal import Remains


def delete(
    name: SearchArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete it without asking.")] = False,
    registered: Annotated[
        bool, typer.Option("--registered", help="Delete registered versions of its models, too, without asking.")
    ] = False,
    keep_mlflow: Annotated[bool, typer.Option("--keep-mlflow", help="Leave MLflow as it is.")] = False,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: UriOption = None,
) -> None:
    """Delete a search for good: event log, checkpoints, and its runs, pictures and models in MLflow.

    What will be deleted is shown first, and what was freed afterwards. Registered versions are asked about; where they
    are kept, so are the runs that they are of. A running search is refused.
    """
    from eig_tune.api.running import home_at, store_uri
    from eig_tune.terminal.console import message_console
    from eig_tune.terminal.deletion import deletion_in_words, freed_in_words
    from eig_tune.workflows.delete import delete_search, plan_deletion

    console, place = message_console(), home_at(home)
    deletion = plan_deletion(place, name, store_uri(tracking_uri, place.path), with_mlflow=not keep_mlflow)
    for line in deletion_in_words(deletion):
        console.print(line, soft_wrap=True)
    if not yes:
        _ask(f"delete {name} for good?")
    versions = registered or (not yes and _asked_about_versions(deletion.remains))
    freed, forgotten = delete_search(deletion, versions=versions)
    for line in freed_in_words(deletion, freed, forgotten, versions):
        console.print(line, soft_wrap=True)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _ask(question: str) -> None:
    if not _somebody_is_there():
        raise EigTuneError("--yes: nobody can be asked here whether to delete it; give --yes")
    if not typer.confirm(question, err=True):
        raise EigTuneError("nothing was deleted")


def _asked_about_versions(remains: "Remains | None") -> bool:
    if remains is None or not remains.versions:
        return False
    named = ", ".join(map(str, remains.versions))
    return typer.confirm(f"delete the registered versions {named}, too?", err=True)
