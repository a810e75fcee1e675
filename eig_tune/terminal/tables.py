"""Results in words and tables, for people and for scripts."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from eig_tune.cluster.doctor import Check
from eig_tune.config.space import SearchSpec
from eig_tune.evaluation.registry import are_of_labels, compared_metrics, shown_metrics
from eig_tune.hpo.candidates import fresh_seeds
from eig_tune.hpo.objectives import losses_of
from eig_tune.hpo.plan import Plan
from eig_tune.hpo.trial import Trial
from eig_tune.reports.categories import (
    COLUMNS,
    NOT_KNOWN,
    Category,
    empty_in_words,
    has_classes,
    table_of,
    what_was_checked,
)
from eig_tune.reports.comparison import best_of, p_in_words, p_text, rows_of
from eig_tune.reports.disagreement import Disagreement, disagreement_of
from eig_tune.reports.groups import GROUP_COLUMNS, Groups, group_rows, reached_in_words
from eig_tune.reports.outcomes import ComparisonOutcome, DiskUse, FixedRunsOutcome, SearchOutcome, SuggestionOutcome
from eig_tune.reports.phrases import (
    chosen_in_words,
    confirmation_in_words,
    constraints_in_words,
    count_outcomes,
    found_and_confirmed,
    front_in_words,
    second_seeds_in_words,
    selection_bias_in_words,
    short,
)
from eig_tune.reports.suggestion import PICTURE, RULE, cells, columns, header, in_words
from eig_tune.tracking import TrackedSearch, TrackedTrial

_MOST_OTHERS = 3


def print_search(outcome: SearchOutcome, spec: SearchSpec, console: Console) -> None:
    """How the search ended, its Pareto front, and what to do next."""
    ended = count_outcomes(outcome.trials) or "no trial"
    console.print(f"{outcome.name}: {ended} in {outcome.wall_seconds:.0f} s", highlight=False)
    if outcome.front:
        console.print(_front_table(outcome.front, spec))
        for line in constraints_in_words(outcome.finished, spec.constraints):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        _print_confirmed(outcome, spec, console)
        if outcome.best is not None:
            best = next(trial for trial in outcome.finished if trial.number == outcome.best.number)
            why = chosen_in_words(outcome.finished, best, spec.objectives, spec.constraints)
            console.print(f"trial {outcome.best.number} is {why}", highlight=False, soft_wrap=True)
            _warn_of(disagreement_of(best, spec.objectives, spec.constraints), console)
        console.print(f"next: eig-tune best --name {outcome.name} --export DIR", highlight=False, soft_wrap=True)
    _print_what_is_left(outcome, spec.trials, console)
    _print_disk_use(outcome.disk, console)
    _print_tracking_errors(outcome.tracking_errors, console)


def _warn_of(problem: Disagreement, console: Console) -> None:
    """That the encoder of the best trial is worse than its samples look, if it is."""
    if problem:
        console.print(f"WARNING {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _print_what_is_left(outcome: SearchOutcome, num_trials: int, console: Console) -> None:
    why = f"{outcome.stopped}: " if outcome.stopped else ""
    ended, expected = sum(trial.ended for trial in outcome.trials), max(num_trials, len(outcome.trials))
    if ended < expected:
        console.print(f"{why}{ended} of {expected} trials have ended; go on with --resume", highlight=False)
    elif why:
        console.print(f"{why}not all of the best have been confirmed; go on with --resume", highlight=False)


def _print_disk_use(disk: DiskUse, console: Console) -> None:
    """What a search or comparison takes."""
    checkpoints = "unknown" if disk.checkpoints is None else decimal(disk.checkpoints)
    line = f"on disk: checkpoints {checkpoints} in {disk.storage}, all else {decimal(disk.kept)}"
    console.print(line, highlight=False, soft_wrap=True)


def _print_tracking_errors(errors: Sequence[str], console: Console) -> None:
    for error in sorted(set(errors)):
        console.print(f"MLflow: {error}", style="red", highlight=False, soft_wrap=True)


def _print_confirmed(outcome: SearchOutcome, spec: SearchSpec, console: Console) -> None:
    """What the best reach on other seeds, and how much of what was found was luck."""
    confirmed = [trial for trial in outcome.finished if trial.confirmation is not None]
    lines = [
        second_seeds_in_words(dict.fromkeys([*spec.objectives, *spec.constraints]), outcome.finished),
        *(confirmation_in_words(spec, trial) for trial in confirmed),
        selection_bias_in_words(spec.objectives, outcome.finished),
    ]
    for line in filter(None, lines):
        console.print(line, highlight=False, soft_wrap=True)


def _front_table(front: Sequence[Trial], spec: SearchSpec) -> Table:
    reached = [(trial, trial.last.metrics) for trial in front if trial.last is not None]
    title = front_in_words([metrics for _, metrics in reached], spec.constraints)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    judged = list(dict.fromkeys([*spec.objectives, *spec.constraints]))
    for column in ("trial", *judged, *spec.search):
        table.add_column(column, justify="right")
    for trial, metrics in sorted(reached, key=lambda pair: losses_of(pair[1], spec.objectives)):
        values = [short(trial.params.get(name, "–")) for name in spec.search]
        table.add_row(str(trial.number), *(f"{metrics[name]:.3f}" for name in judged), *values)
    return table


def print_comparison(outcome: ComparisonOutcome, methods: Sequence[str], console: Console) -> None:
    """The table, and where table and pictures lie."""
    rows = rows_of(outcome.trials, methods)
    best = {metric: best_of(rows, metric) for metric in compared_metrics()}
    table = Table(title=outcome.name, title_justify="left", box=None, pad_edge=False)
    for column in ("method", *compared_metrics(), "p (nmi)", "cells", "splits"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for row in rows:
        values = [f"{row.means[m]:.3f} ± {row.deviations[m]:.3f}" for m in compared_metrics()]
        marked = [
            Text(v, "bold" if best[m] == row.method else "") for m, v in zip(compared_metrics(), values, strict=True)
        ]
        table.add_row(row.method, *marked, p_text(row.p_values["nmi"]), str(row.cells), str(row.splits))
    console.print(table)
    console.print(p_in_words(rows), highlight=False, soft_wrap=True)
    console.print(f"table and pictures: {outcome.folder}", highlight=False, soft_wrap=True)
    _print_unfinished(outcome, "cells", console)


def _print_unfinished(outcome: FixedRunsOutcome, runs: str, console: Console) -> None:
    """What has not ended or has failed, and what the rest takes on the disk."""
    if not outcome.complete:
        why = f"{outcome.stopped}: " if outcome.stopped else ""
        console.print(f"{why}not all {runs} have ended; go on with --resume", highlight=False)
    for trial in outcome.trials:
        if trial.status == "failed":
            line = f"failed: {dict(trial.params)}: {trial.reason}"
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    _print_disk_use(outcome.disk, console)
    _print_tracking_errors(outcome.tracking_errors, console)


def print_suggestion(outcome: SuggestionOutcome, results: Console, console: Console) -> None:
    """The table and what is recommended as a result; where the curve lies and what is left to do as messages."""
    metrics = columns(outcome.suggestion)
    table = Table(title=outcome.name, title_justify="left", box=None, pad_edge=False)
    for column in header(metrics):
        table.add_column(column, justify="right")
    for row in outcome.suggestion.rows:
        table.add_row(*cells(row, metrics), style="bold" if row.categories == outcome.suggestion.recommended else "")
    results.print(table)
    for line in in_words(outcome.suggestion):
        results.print(line, soft_wrap=True)
    console.print(RULE, soft_wrap=True)
    console.print(f"table and curve: {outcome.folder} ({PICTURE})", soft_wrap=True)
    _print_unfinished(outcome, "runs", console)


def print_groups(groups: Groups, console: Console) -> None:
    """The groups of a bundle with their shares, and what they reach where there are labels."""
    table = Table(box=None, pad_edge=False)
    for column in GROUP_COLUMNS:
        table.add_column(column, justify="left" if column == "categories" else "right")
    for row in group_rows(groups):
        table.add_row(*row)
    console.print(table)
    if groups.metrics:
        console.print(f"as groups: {reached_in_words(groups)}", soft_wrap=True)


def print_found(found: TrackedSearch, console: Console) -> None:
    """Which search was found, and that its experiment has others if it has."""
    console.print(f"{found.name}: {found.run}", markup=False, highlight=False, soft_wrap=True)
    if found.others:
        count = "another search" if len(found.others) == 1 else f"{len(found.others)} other searches"
        named = "; ".join(map(str, found.others[:_MOST_OTHERS]))
        more = "; …" if len(found.others) > _MOST_OTHERS else ""
        line = f"its experiment has {count}, which --name RUN takes: {named}{more}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_best(chosen: TrackedTrial, found: TrackedSearch, by: str, console: Console) -> None:
    """The chosen trial, why it was chosen, its parameters and metrics."""
    why = chosen_in_words(found.finished(), chosen, found.objectives, found.constraints, by)
    console.print(f"{found.name}: trial {chosen.number}, {why}", highlight=False, soft_wrap=True)
    for trial in found.finished(lacking_objectives=True):
        line = (
            f"trial {trial.number} is left out: MLflow has not all of its metrics; `eig-tune search --resume` adds them"
        )
        console.print(line, highlight=False, soft_wrap=True)
    for trial in found.finished():
        if trial.confirmation and not trial.confirmed:
            line = f"trial {trial.number} does not count as confirmed: {trial.confirmation}"
            console.print(line, highlight=False, soft_wrap=True)
    judged = dict.fromkeys([*found.objectives, *found.constraints])
    if chosen.confirmed:
        console.print(
            f"found among {len(found.finished())} finished trials{' on 2 seeds' if chosen.second else ''}, tried again "
            f"on {fresh_seeds(chosen.runs, chosen.splits)}{_another_classifier(chosen.confirmed)}: "
            + found_and_confirmed(judged, chosen.found, chosen.confirmed, chosen.confirmed_deviations),
            highlight=False,
            soft_wrap=True,
        )
        bias = selection_bias_in_words(found.objectives, found.finished())
        console.print(bias, highlight=False, soft_wrap=True)
    console.print(_two_columns("parameter", {name: short(v) for name, v in chosen.params.items()}))
    names = dict.fromkeys([*shown_metrics(), *judged])  # an objective may be a metric of the user's own
    shown = {name: f"{chosen.own[name]:.4f}" for name in names if name in chosen.own}
    console.print(_two_columns("metric", shown))
    _warn_of(disagreement_of(chosen, found.objectives, found.constraints), console)


def _another_classifier(metrics: Mapping[str, float]) -> str:
    return " with another evaluation classifier" if are_of_labels(metrics) else ""


def print_categories(categories: Sequence[Category], metrics: Mapping[str, float], console: Console) -> None:
    """What each category of a model is, what was checked of it and what cannot be."""
    if not categories:
        return
    rows = table_of(categories)
    table = Table(title="categories", title_justify="left", box=None, pad_edge=False)
    for column in rows[0]:
        table.add_column(column, justify="left" if column in ("shows", "looks like") else "right")
    for row in rows:
        table.add_row(*map(Text, row.values()))
    console.print(table)
    lines = [COLUMNS, *filter(None, [empty_in_words(categories)]), *what_was_checked(metrics)]
    if not has_classes(categories):
        lines += ["What no number here can tell:", *(f"- {sentence}" for sentence in NOT_KNOWN)]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _two_columns(title: str, rows: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    table.add_column("value", justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


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
            console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def print_plan(spec: SearchSpec, plans: Sequence[Plan], speed: float | None, console: Console) -> None:
    """The resolved space, the rungs, and the predicted cost for every number of slots that has a plan.

    Args:
        speed: steps per second of one trial; None when there are no images to measure it with.
    """
    console.print(_two_columns("searched", {name: str(distribution) for name, distribution in spec.search.items()}))
    rungs = [(f"{rung:,}", f"{trials:,}") for rung, trials in plans[0].reaching.items()]
    console.print(_table_of_numbers(("rung (steps)", "trials expected"), rungs))
    to_confirm = plans[0].confirming_steps
    of_which = f", {to_confirm:,} of them to confirm the best" if to_confirm else ""
    measured = "speed not measured" if speed is None else f"{speed:.1f} steps/s measured here for one trial"
    console.print(
        f"about {plans[0].total_steps:,} steps in all{of_which}; {measured}:",
        highlight=False,
        soft_wrap=True,
    )
    times = ["–" if speed is None else _hours(plan.hours(speed)) for plan in plans]
    costs = [(str(plan.slots), time, f"{plan.busy:.0%}") for plan, time in zip(plans, times, strict=True)]
    console.print(_table_of_numbers(("trials at once", "time", "slots in use"), costs))


def _table_of_numbers(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _hours(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.1f} h"
