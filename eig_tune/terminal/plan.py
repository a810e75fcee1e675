"""What a search will cost, and whether the place where it will run is fit for it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eig_tune.cluster.doctor import Check
from eig_tune.cluster.slots import Explained
from eig_tune.config.durations import duration_in_words
from eig_tune.config.resolved import Resolved
from eig_tune.config.space import SearchSpec
from eig_tune.hpo.plan import Plan
from eig_tune.terminal.parts import table_of_numbers, two_columns
from eig_tune.workflows.cost import Cost


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


def print_resolved(rows: Sequence[Resolved], console: Console) -> None:
    """Every value of a space, and where it comes from."""
    table = Table(box=None, pad_edge=False)
    for column in ("key", "value", "from"):
        table.add_column(column, overflow="fold", no_wrap=column == "key")
    for row in rows:
        style = "" if row.origin == "given" else "dim" if row.origin == "default" else "cyan"
        note = f"{row.origin}{'; ' if row.note else ''}{row.note}"
        table.add_row(Text(row.key, style), Text(row.value, style), Text(note, style))
    console.print(table)


def print_plan(
    spec: SearchSpec, plans: Sequence[Plan], cost: Cost | None, console: Console, slots: Explained | None = None
) -> None:
    """The searched parameters, the rungs, and the predicted cost for every number of slots that has a plan.

    Args:
        cost: of a trial and of the classifiers; None when there are no images to measure them with.
        slots: how many trials would run at once; None where that was said by a person.
    """
    console.print(two_columns("searched", {name: str(distribution) for name, distribution in spec.search.items()}))
    rungs = [(f"{rung:,}", f"{trials:,}") for rung, trials in plans[0].reaching.items()]
    console.print(table_of_numbers(("rung (steps)", "trials expected"), rungs))
    console.print(
        f"about {plans[0].total_steps:,} steps in all{_confirming(spec, plans[0])}; "
        f"{'speed not measured' if cost is None else cost.trial}{_classifiers(cost)}:",
        highlight=False,
        soft_wrap=True,
    )
    times = ["–" if cost is None else duration_in_words(cost.seconds(spec, plan)) for plan in plans]
    costs = [(str(plan.slots), time, f"{plan.busy:.0%}") for plan, time in zip(plans, times, strict=True)]
    console.print(table_of_numbers(("trials at once", "time", "slots in use"), costs))
    if slots is not None:
        console.print(Text(f"trials at once: {slots}"), soft_wrap=True)


def _confirming(spec: SearchSpec, plan: Plan) -> str:
    """Which of the steps confirm the best."""
    if not plan.confirming_steps:
        return ""
    finished = plan.reaching[spec.train.steps]
    second, confirmed = spec.confirm.finalists_of(finished), min(spec.confirm.top, finished)
    runs = f"{second} on a second seed, " if second else ""
    fresh = f"{confirmed} on {spec.confirm.runs} fresh ones"
    return f", {plan.confirming_steps:,} of them to confirm the best trials ({runs}{fresh})"


def _classifiers(cost: Cost | None) -> str:
    if cost is None or not cost.labelled:
        return ""
    first = f"{duration_in_words(cost.classifier)} before the first trial" if cost.classifier else "trained before"
    second = f", {duration_in_words(cost.second_classifier)} beside the trials" if cost.second_classifier else ""
    return f"; evaluation classifiers: {first}{second}"
