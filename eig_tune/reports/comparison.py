"""The table and the pictures of a comparison."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eig_tune.evaluation import figures
from eig_tune.evaluation.record import EvaluationRecord, read_evaluation
from eig_tune.evaluation.registry import compared_metrics, direction_of
from eig_tune.hpo.objectives import mean_and_deviation
from eig_tune.hpo.trial import Trial
from eig_tune.models import METHODS
from eig_tune.reports.paired_test import FEWEST_SPLITS, Cell, differences_of_splits, holm, p_value

_REFERENCE = "elastic-infogan"
_PANELS = (
    ("uniform-infogan", "none", "InfoGAN, balanced images"),
    ("uniform-infogan", None, "InfoGAN, imbalanced images"),
    (_REFERENCE, None, "Elastic-InfoGAN, imbalanced images"),
)


@dataclass(frozen=True)
class Row:
    """One method: over its finished cells, mean and standard deviation of every metric.

    Attributes:
        splits: on which both it and Elastic-InfoGAN have finished a run with the same seed.
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
    return differences_of_splits(of_method[method], of_method.get(_REFERENCE, {}))


def _corrected(of_method: Mapping[str, Mapping[Cell, float]]) -> dict[str, float | None]:
    """Of every method against the reference, whose own is None."""
    return holm({m: None if m == _REFERENCE else p_value(_differences(of_method, m)) for m in of_method})


def best_of(rows: Sequence[Row], metric: str) -> str | None:
    """The method with the best mean; whoever is given the true prior does not compete for its error."""
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
            text = f"{row.means[metric]:.3f} ± {row.deviations[metric]:.3f}"
            values.append(f"**{text}**" if best[metric] == row.method else text)
        tests = [p_text(row.p_values["average_entropy"]), p_text(row.p_values["nmi"])]
        cells = f"{row.cells}" + (f" ({row.failed} failed)" if row.failed else "")
        lines.append("| " + " | ".join([row.method, *values, *tests, cells, str(row.splits)]) + " |")
    lines += ["", p_in_words(rows)]
    if any(METHODS[row.method].prior == "ground-truth" for row in rows):
        lines.append("The ground-truth rows are given the true prior; they do not compete for prior_rmse.")
    return "\n".join(lines) + "\n"


def p_in_words(rows: Sequence[Row]) -> str:
    """What p is, or why there is none."""
    others = [row for row in rows if row.method != _REFERENCE]
    told = (
        f"p: paired t-test against {_REFERENCE} over splits, each the mean over its seeds, corrected for the rows of a "
        "metric (Holm)."
    )
    few = [row for row in others if row.splits < FEWEST_SPLITS]
    if not few:
        return told
    which = "" if len(few) == len(others) else f" for {', '.join(row.method for row in few)}"
    return f"{told} There is none{which}: it takes {FEWEST_SPLITS} splits, and seeds of one split are not independent."


def p_text(p: float | None) -> str:
    """A p-value in three digits."""
    return "–" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def write_report(
    trials: Sequence[Trial], methods: Sequence[str], classes: Sequence[str], evaluations: Path, folder: Path
) -> None:
    """Write table.md, table.csv, cells.csv, methods.png, curves.png, panels.png and a prior-METHOD.png each into
    ``folder``.

    Args:
        evaluations: has a folder for each finished trial, named by its number, with the evaluation at its end.
    """
    rows = rows_of(trials, methods)
    (folder / "table.md").write_text(markdown(rows), encoding="utf-8")
    _write_table(rows, folder / "table.csv")
    _write_cells(trials, folder / "cells.csv")
    columns = {m: ([row.means[m] for row in rows], [row.deviations[m] for row in rows]) for m in compared_metrics()}
    figures.save_figure(figures.methods_figure([row.method for row in rows], columns), folder / "methods.png")
    figures.save_figure(figures.learning_figure(mean_curves(trials, methods)), folder / "curves.png")
    _draw_panels(trials, evaluations, folder / "panels.png")
    _draw_priors(trials, methods, classes, evaluations, folder)


def _write_table(rows: Sequence[Row], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(
            [
                *("method", "cells", "failed", "splits"),
                *(f"{m}_{what}" for m in compared_metrics() for what in ("mean", "std", "p_holm")),
            ]
        )
        for row in rows:
            numbers = [(row.means[m], row.deviations[m], row.p_values[m]) for m in compared_metrics()]
            values = [value for three in numbers for value in three]
            writer.writerow([row.method, row.cells, row.failed, row.splits, *values])


def _write_cells(trials: Sequence[Trial], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["method", "split", "seed", "status", "step", *compared_metrics()])
        for trial in trials:
            metrics = trial.last.metrics if trial.last else {}
            cell = [trial.params["method"], trial.params["split"], trial.params["seed"]]
            step = trial.last.step if trial.last else 0
            writer.writerow([*cell, trial.status, step, *(metrics.get(m, "") for m in compared_metrics())])


def mean_curves(trials: Sequence[Trial], methods: Sequence[str]) -> dict[str, dict[str, tuple[list[int], list[float]]]]:
    """Metric to method to (steps, means over the method's finished cells): whether it has been trained for long
    enough shows where its line has become flat."""
    finished = [t for t in trials if t.status == "finished" and t.params["split"] != "none"]
    reports = {m: [r for t in finished if t.params["method"] == m for r in t.reports.values()] for m in methods}
    return {
        metric: {
            method: (
                steps,
                [
                    float(np.mean([r.metrics[metric] for r in of if r.step == step and metric in r.metrics]))
                    for step in steps
                ],
            )
            for method, of in reports.items()
            if (steps := sorted({r.step for r in of}))
        }
        for metric in compared_metrics()
    }


def _draw_panels(trials: Sequence[Trial], evaluations: Path, file: Path) -> None:
    """The paper's three: InfoGAN on balanced and on imbalanced images, Elastic-InfoGAN on imbalanced ones."""
    panels = []
    for method, split, title in _PANELS:
        seen = _seen(_first(trials, method, split), evaluations)
        if seen is not None:
            samples = seen.samples if seen.table is None else figures.ordered_rows(seen.samples, seen.table)
            panels.append((title, samples))
    if panels:
        figures.save_figure(figures.panels_figure(panels), file)


def _draw_priors(
    trials: Sequence[Trial], methods: Sequence[str], classes: Sequence[str], evaluations: Path, folder: Path
) -> None:
    """Learned against true prior of each method, on its first imbalance."""
    for method in methods:
        seen = _seen(_first(trials, method, None), evaluations)
        if seen is not None and seen.table is not None and seen.class_distribution is not None:
            figure = figures.prior_figure(seen.table, seen.prior, seen.class_distribution, classes)
            figure.suptitle(method)
            figures.save_figure(figure, folder / f"prior-{method}.png")


def _seen(trial: Trial | None, evaluations: Path) -> EvaluationRecord | None:
    if trial is None or not (evaluations / str(trial.number)).is_dir():
        return None
    return read_evaluation(evaluations / str(trial.number))


def _first(trials: Sequence[Trial], method: str, split: str | None) -> Trial | None:
    """The method's first finished cell: on balanced images when ``split`` says so, else on imbalanced ones."""
    found = (
        trial
        for trial in trials
        if trial.status == "finished"
        and trial.params["method"] == method
        and (trial.params["split"] == "none") == (split == "none")
    )
    return next(found, None)
