"""What a search will cost, and whether the place where it will run is fit for it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eig_tune.cluster.doctor import Check
from eig_tune.cluster.slots import Explained
from eig_tune.config.space import SearchSpec
from eig_tune.hpo.plan import Plan
from eig_tune.terminal.parts import table_of_numbers, two_columns
from eig_tune.training.speed import Measured


def print_checks(checks: Sequence[Check], console: Console) -> None:
    """What was found, then one line for everything that is wrong."""
    table = Table(box=None, pad_edge=False)
    for column in ("check", "", "found"):
        table.add_column(column)
    for check in checks:
        table.add_row(check.name, Text("✗", "red") if check.problem else Text("✓", "green"), Text(check.found))
    console.print(table)
    for check in checks:
        if check.problem:
            kind = "" if check.grave else "a search would only warn: "
            text = f"{check.name}: {kind}{check.problem}"
            console.print(text, style="red", soft_wrap=True)


def print_plan(
    spec: SearchSpec, plans: Sequence[Plan], measured: Measured | None, slots: Explained, console: Console
) -> None:
    """The resolved space, the rungs, and the predicted cost for every number of slots that has a plan.

    Args:
        measured: one trial; None when there are no images to measure it with.
        slots: how many trials would run at once.
    """
    console.print(two_columns("searched", {name: str(distribution) for name, distribution in spec.search.items()}))
    rungs = [(f"{rung:,}", f"{trials:,}") for rung, trials in plans[0].reaching.items()]
    console.print(table_of_numbers(("rung (steps)", "trials expected"), rungs))
    to_confirm = plans[0].confirming_steps
    of_which = f", {to_confirm:,} of them to confirm the best" if to_confirm else ""
    console.print(
        f"about {plans[0].total_steps:,} steps in all{of_which}; {measured or 'speed not measured'}:",
        highlight=False,
        soft_wrap=True,
    )
    times = ["–" if measured is None else _hours(plan.hours(measured.steps_per_second)) for plan in plans]
    costs = [(str(plan.slots), time, f"{plan.busy:.0%}") for plan, time in zip(plans, times, strict=True)]
    console.print(table_of_numbers(("trials at once", "time", "slots in use"), costs))
    console.print(Text(f"trials at once: {slots}"), soft_wrap=True)


def _hours(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.1f} h"
