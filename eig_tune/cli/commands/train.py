"""``eig-tune train``."""

from pathlib import Path
from typing import Annotated

import typer

from eig_tune import strict_json
from eig_tune.cli.options import HomeOption, JsonOption, RootOption, SpaceOption, StepsOption, path_option, read_spec
from eig_tune.home import DEFAULT_HOME


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
    from eig_tune.config.unused import find_unused_in_run
    from eig_tune.home import writable_home
    from eig_tune.terminal.console import message_console
    from eig_tune.terminal.tables import print_progress
    from eig_tune.terminal.view import TerminalView
    from eig_tune.workflows.prepare import prepare_classifier, prepare_images, warn_of_unused
    from eig_tune.workflows.train import check_out, parse_settings, run_single, single_config

    spec = read_spec(space, {"train.steps": steps, "dataset.root": root}, searching=False)
    values = parse_settings(settings or [])
    config = single_config(spec, values)
    console, place = message_console(), writable_home(home)
    if out is not None:
        check_out(out, resume)
    warn_of_unused(find_unused_in_run(spec, config, values))
    view = TerminalView(console)
    data = prepare_classifier(spec, prepare_images(spec.of_run(config), place, view), place, view)
    for progress in run_single(config, data, out):
        print_progress(progress, config.train.steps, console)
        if as_json:
            typer.echo(strict_json.dumps({"step": progress.step, **progress.metrics()}))
