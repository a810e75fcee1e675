"""``eig-tune validate``, and the plan that it and ``search --dry-run`` print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eig_tune.cli.options import HomeOption, RootOption, path_option, read_spec
from eig_tune.home import DEFAULT_HOME
from eig_tune.paths import absolute

if TYPE_CHECKING:
    from eig_tune.config.space import SearchSpec

_PLANNED_SLOTS = (1, 2, 4, 8, 16, 32)  # how many trials at once the cost is predicted for


def validate(
    file: Annotated[Path, typer.Argument(**path_option("FILE"), help="The search's YAML file.")],
    root: RootOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Check a search's YAML; print its data, the resolved space, the rungs and the predicted cost.

    Data that is not on this machine is no mistake in the file: how to get it is printed, and the exit code is 0.
    """
    print_plan_of(read_spec(file, {"dataset.root": root}), home)


def print_plan_of(spec: "SearchSpec", home: Path) -> None:
    """Print the resolved space, the rungs and the predicted cost, after a warning of each unused setting."""
    from eig_tune.config.unused import find_unused_in_rows, find_unused_in_search
    from eig_tune.data import how_to_get
    from eig_tune.home import Home
    from eig_tune.hpo.plan import make_plan
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.plan import print_plan
    from eig_tune.terminal.view import TerminalView
    from eig_tune.training.speed import measure_trial
    from eig_tune.workflows.prepare import prepare_images, warn_of_unused, with_objectives

    console = message_console()
    warn_of_unused([*find_unused_in_search(spec), *find_unused_in_rows(spec, spec.compare)])
    absent = how_to_get(spec.dataset)
    if absent is None:
        images = prepare_images(spec, Home(absolute(home, "--home")), TerminalView(console))
        spec = with_objectives(spec, images)
        measured = measure_trial(spec.base_config(), images)
    else:
        measured = None
        console.print(f"data: {absent}", soft_wrap=True)
        with_objectives(spec, None)
    plans = [make_plan(spec, slots) for slots in _PLANNED_SLOTS if slots <= spec.trials]
    print_plan(spec, plans, measured, result_console())
