"""The table of commands, and ``main``, which runs one and turns what a person can mend into one message."""

import os
import sys
from typing import Annotated

import typer

from eig_tune import __version__
from eig_tune.cli.commands.best import best
from eig_tune.cli.commands.bundle import predict, sample
from eig_tune.cli.commands.compare import compare
from eig_tune.cli.commands.delete import delete
from eig_tune.cli.commands.doctor import doctor
from eig_tune.cli.commands.init import init
from eig_tune.cli.commands.overview import list_searches, status
from eig_tune.cli.commands.requests import add, stop
from eig_tune.cli.commands.schema import schema
from eig_tune.cli.commands.search import search
from eig_tune.cli.commands.suggest_k import suggest_k
from eig_tune.cli.commands.train import train
from eig_tune.cli.commands.ui import ui
from eig_tune.cli.commands.validate import validate
from eig_tune.cli.log_options import LogFileOption, VerboseOption, with_log_options
from eig_tune.errors import DISK_IS_FULL, EigTuneError
from eig_tune.paths import have_a_home
from eig_tune.stopping import Interrupted, Stop, end_quietly_from_now_on

# Threads that wait for each other spin, unless OpenMP is set to let them sleep: beside other work on the machine, two
# threads then train the evaluation classifier eight times as slowly as one does. PyTorch reads this when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find the hyperparameters with which Elastic-InfoGAN discovers the classes, and their imbalance, "
    "in an unlabelled image set.",
)
_COMMANDS = (
    init,
    search,
    list_searches,
    status,
    stop,
    add,
    delete,
    best,
    suggest_k,
    compare,
    train,
    validate,
    schema,
    doctor,
)
for _command in (*_COMMANDS, predict, sample, ui):
    app.command("list" if _command is list_searches else None)(with_log_options(_command))


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _before_a_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    verbose: VerboseOption = False,
    log_file: LogFileOption = None,
) -> None:
    """Options that stand before a command; those of the log are read by :func:`with_log_options`."""


def main() -> None:
    """Run the command line; an error that a person can mend, or a signal, is one message and its exit code."""
    try:
        have_a_home()
        Stop().listen()
        app()
    except Interrupted as interrupted:
        _give_up(interrupted.message, interrupted.exit_code)
    except EigTuneError as error:
        _give_up(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in DISK_IS_FULL:
            raise
        what = f"{error.filename or 'a file'} cannot be written ({error.strerror or error})"
        _give_up(f"{what}; make room: a search, comparison or run goes on with --resume", EigTuneError.exit_code)

    finally:
        end_quietly_from_now_on()


def _give_up(message: str, exit_code: int) -> None:
    print(f"eig-tune: {message}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(exit_code)
