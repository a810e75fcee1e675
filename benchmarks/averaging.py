"""Averaged weights against the weights themselves: both of the same runs, at the same reports.

    python -m benchmarks.averaging --space search_spaces/digits.yaml --every 100 [--seeds 5] [--log FILE]

Seed i trains on imbalance i. Of each run the last six reports count: a metric's mean over them, and its spread, the
standard deviation of the differences between neighbouring reports over √2. A difference is the mean over the runs with
its standard error.
"""

import argparse
import json
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import description
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.data import ImbalanceSplit, load_images
from eig_tune.evaluation.classifier import train_classifier
from eig_tune.evaluation.registry import direction_of
from eig_tune.training.loop import Run, TrialData

METRICS = ("nmi", "prior_rmse", "nmi_real", "average_entropy", "label_free_score")
LAST = 6
Reports = list[dict[str, Any]]


def main() -> None:
    """Train, and print a Markdown table."""
    arguments = _arguments()
    spec = load_spec(arguments.space, {"dataset.root": arguments.root} if arguments.root else None)
    with tempfile.TemporaryDirectory() as cache:
        train_classifier(load_images(spec.dataset), Path(cache))
        one = partial(reports_of, spec, cache, arguments.every, arguments.steps or spec.train.steps)
        with ProcessPoolExecutor(arguments.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            runs = list(pool.map(one, range(arguments.seeds)))
    if arguments.log is not None:
        arguments.log.write_text("".join(json.dumps(reports) + "\n" for reports in runs), encoding="utf-8")
    print(f"{description()}\n\n{spec.dataset.name}, width {spec.model.width}, {arguments.seeds} runs\n")
    print(_table(runs))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, required=True)
    parser.add_argument("--root", help="where the images lie")
    parser.add_argument("--every", type=int, default=100, help="steps between two reports")
    parser.add_argument("--steps", type=int, help="of a run; by default those of the space")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--log", type=Path, help="every report of every run, a line of JSON each")
    return parser.parse_args()


def reports_of(spec: SearchSpec, cache: str, every: int, steps: int, seed: int) -> Reports:
    """What one run has reached at every report, with averaged and with live weights."""
    torch.set_num_threads(1)
    images = load_images(spec.dataset).with_imbalance(ImbalanceSplit(split=seed))
    config = spec.fixed_config(spec.method, seed, {"steps": steps, "report_every": every})
    run = Run(config, TrialData(images, train_classifier(images, Path(cache))), torch.device("cpu"))
    reports = []
    while run.step < steps:
        run.advance(every)
        averaged, live = run.evaluate().metrics, run.evaluate(live=True).metrics
        reports.append({"seed": seed, "step": run.step, "averaged": averaged, "live": live})
    return reports


def _table(runs: list[Reports]) -> str:
    lines = ["| metric | live | averaged | Δ | better in | spread, live | spread, averaged |", "|" + "---|" * 7]
    for metric in METRICS:
        live, averaged = (_values(runs, which, metric) for which in ("live", "averaged"))
        change = averaged.mean(axis=1) - live.mean(axis=1)
        error = change.std(ddof=1) / np.sqrt(len(runs))
        better = int((change < 0).sum() if direction_of(metric) == "minimize" else (change > 0).sum())
        cells = (
            f"{live.mean():.4f} | {averaged.mean():.4f} | {change.mean():+.4f} ± {error:.4f} | {better} of {len(runs)}"
        )
        lines.append(f"| {metric} | {cells} | {_spread(live):.4f} | {_spread(averaged):.4f} |")
    return "\n".join(lines)


def _values(runs: list[Reports], which: str, metric: str) -> Any:
    """The last values of a metric: runs × reports."""
    return np.array([[report[which][metric] for report in reports[-LAST:]] for reports in runs])


def _spread(values: Any) -> float:
    return float(np.diff(values, axis=1).std() / np.sqrt(2))


if __name__ == "__main__":
    main()
