"""``--verbose`` and ``--log-file``, which every command takes, before its name or among its own options."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from eig_tune.cli.options import path_option
from eig_tune.stopping import Interrupted

VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show details as well, and Ray's warnings.")]
LogFileOption = Annotated[
    Path | None,
    typer.Option("--log-file", **path_option("--log-file"), help="Append all messages and details to this file."),
]


def with_log_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the two options added to its own; the log is set up before it runs."""

    @wraps(command)
    def run(context: typer.Context, verbose: bool, log_file: Path | None, **arguments: Any) -> None:
        from eig_tune.terminal.logs import configure, log_last_error

        before = context.parent.params if context.parent is not None else {}
        configure(verbose or before.get("verbose", False), log_file or before.get("log_file"))
        try:
            command(**arguments)
        except typer.Exit:
            raise
        except (Exception, Interrupted) as error:
            log_last_error(error)
            raise

    kind = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter("context", kind, annotation=typer.Context),
        inspect.Parameter("verbose", kind, annotation=VerboseOption, default=False),
        inspect.Parameter("log_file", kind, annotation=LogFileOption, default=None),
    ]
    own = [each.replace(kind=kind) for each in inspect.signature(command, eval_str=True).parameters.values()]
    run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    return run
