"""What is learned by the simultaneous step, against the alternating one that it replaced: same seeds, same reports.

    python -m benchmarks.step_quality --space search_spaces/digits.yaml [--seeds 5] [--set lambda_2=30]

Seed i trains on imbalance i. Shown are the first rung and the end; a difference is the mean over the pairs with its
standard error. ``benchmarks.step_throughput`` measures how long either takes.
"""

import argparse
import tempfile
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.alternating import ALTERNATING
from benchmarks.machine import description
from benchmarks.many_runs import Job, train_all
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.data import ImbalanceSplit
from eig_tune.evaluation.registry import direction_of

METRICS = ("nmi", "prior_rmse", "nmi_real", "average_entropy", "label_free_score", "classes_found")
STEPS = (ALTERNATING.name, "elastic-infogan")


def main() -> None:
    """Train, and print a Markdown table for each of the two reports."""
    arguments = _arguments()
    spec = load_spec(arguments.space, {"dataset.root": arguments.root} if arguments.root else None)
    params = dict(_set(text) for text in arguments.set)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    jobs = {f"seed {seed}, {model}": _job(spec, params, seed, model) for seed, model in product(seeds, STEPS)}
    with tempfile.TemporaryDirectory() as folder:
        runs = train_all(jobs, arguments.log or Path(folder) / "runs.jsonl", Path(folder), arguments.processes)
    shown = f", {' '.join(arguments.set)}" if params else ""
    print(f"{description()}\n\n{spec.dataset.name}, width {spec.model.width}{shown}, {arguments.seeds} pairs\n")
    for step in (spec.asha.grace, spec.train.steps):
        print(_table(step, *([runs[f"seed {seed}, {model}"][step] for seed in seeds] for model in STEPS)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, required=True)
    parser.add_argument("--root", help="where the images lie")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="a hyperparameter")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--log", type=Path, help="a line of JSON for each run that is done; a second call goes on")
    return parser.parse_args()


def _set(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    return name, float(value)


def _job(spec: SearchSpec, params: dict[str, float], seed: int, model: str) -> Job:
    """The run of one seed by one of the two steps."""
    dataset = spec.dataset.model_copy(update={"imbalance": ImbalanceSplit(split=seed)})
    config = spec.fixed_config("elastic-infogan", seed, params).model_copy(update={"method": model})
    return Job(dataset, config)


def _table(step: int, before: list[dict[str, float]], after: list[dict[str, float]]) -> str:
    lines = [f"Step {step:,}:\n", "| metric | alternating | simultaneous | Δ | better in |", "|" + "---|" * 5]
    for metric in METRICS:
        old, new = (np.array([report[metric] for report in reports]) for reports in (before, after))
        change = new - old
        error = change.std(ddof=1) / np.sqrt(len(change))
        better = int((change < 0).sum() if direction_of(metric) == "minimize" else (change > 0).sum())
        cells = f"{old.mean():.4f} | {new.mean():.4f} | {change.mean():+.4f} ± {error:.4f}"
        lines.append(f"| {metric} | {cells} | {better} of {len(change)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
