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
    full: Annotated[
        bool,
        typer.Option("--full", help="Print the facts of the images and the whole space as well, defaults included."),
    ] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Check a search's YAML; print its data, what is searched, the rungs and the predicted cost.

    The cost is that of the trials, their evaluations, the classifiers and the confirmation, as measured here. Data that
    is not on this machine is no mistake in the file: how to get it is printed, and the exit code is 0.
    """
    print_plan_of(read_spec(file, {"dataset.root": root}), home, full=full)


def print_plan_of(
    spec: "SearchSpec",
    home: Path,
    gpus: int | None = None,
    trials_per_gpu: "int | Literal['auto']" = 1,
    cpus: int | None = None,
    address: str | None = None,
    full: bool = False,
) -> None:
    """Print what is searched, the rungs, the predicted cost and how many trials would run at once, after a warning of
    each unused setting and of each GPU that would be idle.

    Args:
        full: print the facts of the images and every value of the space as well.
    """
    from eig_tune.config.resolved import resolved
    from eig_tune.config.unused import find_unused_in_rows, find_unused_in_search
    from eig_tune.data import how_to_get
    from eig_tune.home import Home
    from eig_tune.hpo.plan import make_plan
    from eig_tune.terminal.console import message_console, result_console
    from eig_tune.terminal.facts import print_facts
    from eig_tune.terminal.plan import print_plan, print_resolved
    from eig_tune.terminal.view import TerminalView
    from eig_tune.workflows.cost import measure_cost
    from eig_tune.workflows.first_space import look_of
    from eig_tune.workflows.prepare import made_of, prepare_images, warn_of_unused, with_objectives
    from eig_tune.workflows.resources import planned_slots

    console, results = message_console(), result_console()
    warn_of_unused([*find_unused_in_search(spec), *find_unused_in_rows(spec, spec.compare)])
    absent, cost, images, given = how_to_get(spec.dataset), None, None, spec
    if absent is None:
        place = Home(absolute(home, "--home"))
        images = prepare_images(spec, place, TerminalView(console))
        spec = with_objectives(spec, images)
        cost = measure_cost(spec, images, place)
    else:
        console.print(f"data: {absent}", soft_wrap=True)
        with_objectives(spec, None)
    if full:
        if images is not None:
            print_facts(spec.dataset, images, look_of(spec.dataset, images), results)
        print_resolved(resolved(given, {} if images is None else made_of(spec, images)), results)
    plans = [make_plan(spec, slots) for slots in _PLANNED_SLOTS if slots <= spec.trials]
    per_gpu = 1 if trials_per_gpu == "auto" else trials_per_gpu
    slots = planned_slots(spec, images, gpus, per_gpu, cpus, address)
    print_plan(spec, plans, cost, results, slots)
