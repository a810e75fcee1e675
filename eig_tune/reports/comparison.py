"""The table of a comparison: one row per method."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eig_tune.evaluation.registry import compared_metrics, direction_of
from eig_tune.hpo.objectives import mean_and_deviation
from eig_tune.hpo.trial import Trial
from eig_tune.models import METHODS
from eig_tune.reports.paired_test import FEWEST_SPLITS, Cell, differences_of_splits, holm, p_value
from eig_tune.reports.phrases import with_spread

REFERENCE = "elastic-infogan"


@dataclass(frozen=True)
class Row:
    """One method: over its finished cells, mean and standard deviation of every metric.

    Attributes:
        method: its name.
        cells: how many have finished.
        failed: how many have failed.
        splits: number of splits on which both it and Elastic-InfoGAN have finished a run with the same seed.
        means: over the finished cells, by metric.
        deviations: standard deviations over the same cells, by metric; NaN of a single cell.
        p_values: of the paired t-test against Elastic-InfoGAN over these splits, corrected for all rows (Holm); None
            where there is nothing to test, or too few splits.
    """

    method: str
    cells: int
    failed: int
    splits: int
    means: Mapping[str, float]
    deviations: Mapping[str, float]
    p_values: Mapping[str, float | None]

    def in_words(self, metric: str) -> str:
        """``0.931 ± 0.012``; the mean alone of a single cell."""
        return with_spread(self.means[metric], self.deviations[metric])


def rows_of(trials: Sequence[Trial], methods: Sequence[str]) -> list[Row]:
    """One row per method; InfoGAN on balanced images is not in the table."""
    of_method = {
        method: [t for t in trials if t.params["method"] == method and t.params["split"] != "none"]
        for method in methods
    }
    measured = {
        metric: {method: _by_cell(cells, metric) for method, cells in of_method.items()}
        for metric in compared_metrics()
    }
    p_values = {metric: _corrected(of) for metric, of in measured.items()}
    rows = []
    for method, cells in of_method.items():
        spread = {metric: mean_and_deviation(list(of[method].values())) for metric, of in measured.items()}
        splits = len(_differences(next(iter(measured.values())), method))
        means, deviations = ({metric: pair[which] for metric, pair in spread.items()} for which in (0, 1))
        of_metric = {metric: p_values[metric][method] for metric in compared_metrics()}
        ended = Counter(trial.status for trial in cells)
        rows.append(Row(method, ended["finished"], ended["failed"], splits, means, deviations, of_metric))
    return rows


def _by_cell(trials: Sequence[Trial], metric: str) -> dict[Cell, float]:
    return {
        (trial.params["split"], trial.params["seed"]): trial.last.metrics[metric]
        for trial in trials
        if trial.status == "finished" and trial.last is not None and metric in trial.last.metrics
    }


def _differences(of_method: Mapping[str, Mapping[Cell, float]], method: str) -> list[float]:
    return differences_of_splits(of_method[method], of_method.get(REFERENCE, {}))


def _corrected(of_method: Mapping[str, Mapping[Cell, float]]) -> dict[str, float | None]:
    """Corrected p-value of every method against the reference, whose own is None."""
    return holm({m: None if m == REFERENCE else p_value(_differences(of_method, m)) for m in of_method})


def best_of(rows: Sequence[Row], metric: str) -> str | None:
    """The method with the best mean, None without any; methods given the true prior do not compete for prior_rmse."""
    competing = [
        row
        for row in rows
        if np.isfinite(row.means[metric])
        and not (metric == "prior_rmse" and METHODS[row.method].prior == "ground-truth")
    ]
    sign = 1 if direction_of(metric) == "minimize" else -1
    return min(competing, key=lambda row: sign * row.means[metric]).method if competing else None


def markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown: mean ± standard deviation, the best in bold."""
    arrows = {"minimize": "↓", "maximize": "↑"}
    header = ["method", *(f"{metric} {arrows[direction]}" for metric, direction in compared_metrics().items())]
    header += ["p (average_entropy)", "p (nmi)", "cells", "splits"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    best = {metric: best_of(rows, metric) for metric in compared_metrics()}
    for row in rows:
        values = []
        for metric in compared_metrics():
            text = row.in_words(metric)
            values.append(f"**{text}**" if best[metric] == row.method else text)
        tests = [p_text(row.p_values["average_entropy"]), p_text(row.p_values["nmi"])]
        cells = f"{row.cells}" + (f" ({row.failed} failed)" if row.failed else "")
        lines.append("| " + " | ".join([row.method, *values, *tests, cells, str(row.splits)]) + " |")
    lines += ["", p_in_words(rows)]
    if any(METHODS[row.method].prior == "ground-truth" for row in rows):
        lines.append("The ground-truth rows are given the true prior; they do not compete for prior_rmse.")
    return "\n".join(lines) + "\n"


def p_in_words(rows: Sequence[Row]) -> str:
    """A sentence on what p is, and on why there is none where there is none."""
    others = [row for row in rows if row.method != REFERENCE]
    what = (
        f"p: paired t-test against {REFERENCE} over splits, each the mean over its seeds, corrected for the rows of a "
        "metric (Holm)."
    )
    few = [row for row in others if row.splits < FEWEST_SPLITS]
    if not few:
        return what
    which = "" if len(few) == len(others) else f" for {', '.join(row.method for row in few)}"
    return f"{what} There is none{which}: it takes {FEWEST_SPLITS} splits, and seeds of one split are not independent."


def p_text(p: float | None) -> str:
    """A p-value in three digits."""
    return "–" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
