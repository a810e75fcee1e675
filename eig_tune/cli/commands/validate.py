"""``eig-tune validate``, and the plan that it and ``search --dry-run`` print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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


def print_plan_of(
    spec: "SearchSpec",
    home: Path,
    gpus: int | None = None,
    trials_per_gpu: "int | Literal['auto']" = 1,
    cpus: int | None = None,
    address: str | None = None,
) -> None:
    """Print the resolved space, the rungs, the predicted cost and how many trials would run at once, after a warning of
    each unused setting and of each GPU that would be idle."""
    from eig_tune.config.unused import find_unused_in_rows, find_unused_in_search
    from eig_tune.data import how_to_get
    from eig_tune.home import Home
    from eig_tune.hpo.plan import make_plan
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.plan import print_plan
    from eig_tune.terminal.view import TerminalView
    from eig_tune.training.speed import measure_trial
    from eig_tune.workflows.prepare import prepare_images, warn_of_unused, with_objectives
    from eig_tune.workflows.resources import planned_slots

    console = message_console()
    warn_of_unused([*find_unused_in_search(spec), *find_unused_in_rows(spec, spec.compare)])
    absent, images, measured = how_to_get(spec.dataset), None, None
    if absent is None:
        images = prepare_images(spec, Home(absolute(home, "--home")), TerminalView(console))
        spec = with_objectives(spec, images)
        measured = measure_trial(spec.base_config(), images)
    else:
        console.print(f"data: {absent}", soft_wrap=True)
        with_objectives(spec, None)
    plans = [make_plan(spec, slots) for slots in _PLANNED_SLOTS if slots <= spec.trials]
    per_gpu = 1 if trials_per_gpu == "auto" else trials_per_gpu
    slots = planned_slots(spec, images, gpus, per_gpu, cpus, address)
    print_plan(spec, plans, measured, slots, result_console())
