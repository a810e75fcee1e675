"""The files of a comparison: its table, its cells and its pictures."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eig_tune.evaluation import figures
from eig_tune.evaluation.record import EvaluationRecord, read_evaluation
from eig_tune.evaluation.registry import compared_metrics
from eig_tune.evaluation.sample_grid import ordered_rows
from eig_tune.hpo.trial import Trial
from eig_tune.reports.comparison import REFERENCE, Row, markdown, rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = (
    ("uniform-infogan", "none", "InfoGAN, balanced images"),
    ("uniform-infogan", None, "InfoGAN, imbalanced images"),
    (REFERENCE, None, "Elastic-InfoGAN, imbalanced images"),
)


def write_report(
    trials: Sequence[Trial], methods: Sequence[str], classes: Sequence[str], evaluations: Path, folder: Path
) -> None:
    """Write table.md, table.csv, cells.csv, methods.png, curves.png, panels.png and a prior-METHOD.png each into
    ``folder``.

    Args:
        trials: the cells.
        methods: one row each.
        classes: names of the true classes.
        evaluations: has a folder for each finished trial, named by its number, with the evaluation at its end.
        folder: where to write.
    """
    rows = rows_of(trials, methods)
    (folder / "table.md").write_text(markdown(rows), encoding="utf-8")
    _write_table(rows, folder / "table.csv")
    _write_cells(trials, folder / "cells.csv")
    figures.save_figure(methods_figure(rows), folder / "methods.png")
    figures.save_figure(figures.learning_figure(mean_curves(trials, methods)), folder / "curves.png")
    _draw_panels(trials, evaluations, folder / "panels.png")
    _draw_priors(trials, methods, classes, evaluations, folder)


def methods_figure(rows: Sequence[Row]) -> "Figure":
    """Mean and standard deviation of every method in every compared metric."""
    columns = {m: ([row.means[m] for row in rows], [row.deviations[m] for row in rows]) for m in compared_metrics()}
    return figures.methods_figure([row.method for row in rows], columns)


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
    """Mean learning curves: metric to method to (steps, means over the method's finished cells).

    A method has been trained long enough where its curve has become flat."""
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
        record = _evaluation(_first(trials, method, split), evaluations)
        if record is not None:
            samples = record.samples if record.table is None else ordered_rows(record.samples, record.table)
            panels.append((title, samples))
    if panels:
        figures.save_figure(figures.panels_figure(panels), file)


def _draw_priors(
    trials: Sequence[Trial], methods: Sequence[str], classes: Sequence[str], evaluations: Path, folder: Path
) -> None:
    """Learned against true prior of each method, on its first imbalance."""
    for method in methods:
        record = _evaluation(_first(trials, method, None), evaluations)
        if record is not None and record.table is not None and record.class_distribution is not None:
            figure = figures.prior_figure(record.table, record.prior, record.class_distribution, classes)
            figure.suptitle(method)
            figures.save_figure(figure, folder / f"prior-{method}.png")


def _evaluation(trial: Trial | None, evaluations: Path) -> EvaluationRecord | None:
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
