"""What a comparison or a suggestion of K has come to."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eig_tune.evaluation.registry import compared_metrics
from eig_tune.reports.comparison import best_of, p_in_words, p_text, rows_of
from eig_tune.reports.outcomes import ComparisonOutcome, FixedRunsOutcome, SuggestionOutcome
from eig_tune.reports.suggestion import PICTURE, RULE, cells, columns, header, in_words
from eig_tune.terminal.parts import print_disk_use, print_tracking_errors


def print_comparison(outcome: ComparisonOutcome, methods: Sequence[str], results: Console, console: Console) -> None:
    """The table as a result; where table and pictures lie and what is left to do as messages."""
    rows = rows_of(outcome.trials, methods)
    best = {metric: best_of(rows, metric) for metric in compared_metrics()}
    table = Table(title=outcome.name, title_justify="left", box=None, pad_edge=False)
    for column in ("method", *compared_metrics(), "p (nmi)", "cells", "splits"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for row in rows:
        values = [row.in_words(metric) for metric in compared_metrics()]
        marked = [
            Text(v, "bold" if best[m] == row.method else "") for m, v in zip(compared_metrics(), values, strict=True)
        ]
        table.add_row(row.method, *marked, p_text(row.p_values["nmi"]), str(row.cells), str(row.splits))
    results.print(table)
    results.print(p_in_words(rows), soft_wrap=True)
    console.print(f"table and pictures: {outcome.folder}", soft_wrap=True)
    _print_unfinished(outcome, "cells", console)


def _print_unfinished(outcome: FixedRunsOutcome, runs: str, console: Console) -> None:
    """What has not ended or has failed, and what the rest takes on the disk."""
    if not outcome.complete:
        why = f"{outcome.stopped}: " if outcome.stopped else ""
        console.print(f"{why}not all {runs} have ended; go on with --resume", soft_wrap=True)
    for trial in outcome.trials:
        if trial.status == "failed":
            line = f"failed: {dict(trial.params)}: {trial.reason}"
            console.print(line, style="red", soft_wrap=True)
    print_disk_use(outcome.disk, console)
    print_tracking_errors(outcome.tracking_errors, console)


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
