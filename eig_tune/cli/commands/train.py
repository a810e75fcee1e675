"""``eig-tune train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.options import HomeOption, JsonOption, RootOption, SpaceOption, StepsOption, path_option, read_spec
from eig_tune.home import DEFAULT_HOME
from eig_tune.stopping import Stop

if TYPE_CHECKING:
    from eig_tune.training.loop import Progress


def train(
    space: SpaceOption,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="key=value: any field of model, train or augment, method or seed; may be given again."
        ),
    ] = None,
    steps: StepsOption = None,
    root: RootOption = None,
    out: Annotated[
        Path | None, typer.Option(**path_option("--out"), help="Folder for metrics, checkpoint and pictures.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in --out.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Train one model in this process, without Ray: the way to debug."""
    from eig_tune.api.training import train as run_training
    from eig_tune.config.settings import parse_settings
    from eig_tune.terminal.console import message_console
    from eig_tune.terminal.view import TerminalView

    def print_json(progress: "Progress") -> None:
        typer.echo(strict_json.dumps({"step": progress.step, **progress.metrics()}))

    run_training(
        read_spec(space, {"train.steps": steps, "dataset.root": root}, searching=False),
        params=parse_settings(settings or [], "eig-tune train", "--set"),
        out=out,
        resume=resume,
        home=home,
        on_report=print_json if as_json else None,
        view=TerminalView(message_console()),
        stop=Stop(),
    )
