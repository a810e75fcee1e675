"""Does bf16 harm a metric? The same runs in fp32 and bf16, on several seeds of scikit-learn's digits.

python -m benchmarks.precision [--steps 1500] [--seeds 5]
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import description
from eig_tune.data import DatasetConfig, load_images
from eig_tune.evaluation import train_judge
from eig_tune.training import TrainConfig, TrialData, fit

METRICS = ("nmi", "prior_rmse", "average_entropy")
PRECISIONS = ("fp32", "bf16")
_VALUES = {"width": 16, "generator_lr": 1e-3, "discriminator_lr": 5e-4}
Results = Mapping[tuple[str, int], Mapping[str, float]]


def main() -> None:
    """Run every seed in both precisions and print a Markdown table."""
    arguments = _arguments()
    torch.set_num_threads(1)
    data = _data()
    runs = list(product(PRECISIONS, range(arguments.seeds)))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, mp_context=spawn) as pool:
        pending = {run: pool.submit(final_metrics, data, *run, arguments.steps) for run in runs}
        results = {run: future.result() for run, future in pending.items()}
    print(f"{description()}\n")
    print(f"digits, width 16, {arguments.steps} steps, {arguments.seeds} seeds, mean ± standard deviation\n")
    print(_table(results, arguments.seeds))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def _data() -> TrialData:
    images = load_images(DatasetConfig(name="digits"))
    with tempfile.TemporaryDirectory() as cache:
        return TrialData(images, train_judge(images, Path(cache)))


def final_metrics(data: TrialData, precision: str, seed: int, steps: int) -> dict[str, float]:
    """The metrics that one run has at its end."""
    torch.set_num_threads(1)
    budget = {"steps": steps, "report_every": steps}
    config = TrainConfig().with_values({**_VALUES, **budget, "precision": precision, "seed": seed})
    (progress,) = fit(config, data, device=torch.device("cpu"))
    return progress.evaluation.metrics


def _table(results: Results, seeds: int) -> str:
    lines = ["| metric | fp32 | bf16 | bf16 − fp32, same seed |", "|---|---|---|---|"]
    for metric in METRICS:
        fp32, bf16 = (np.array([results[p, seed][metric] for seed in range(seeds)]) for p in PRECISIONS)
        lines.append(f"| `{metric}` | {_spread(fp32)} | {_spread(bf16)} | {_spread(bf16 - fp32, '+')} |")
    return "\n".join(lines)


def _spread(values: np.ndarray, sign: str = "") -> str:
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{values.mean():{sign}.3f} ± {deviation:.3f}"


if __name__ == "__main__":
    main()
