"""What the paper leaves open, settled by measurement: every switch against the default, on the same seeds.

    python -m benchmarks.switches --space search_spaces/digits.yaml [--seeds 4] [--set width=16 --set steps=2000]

Seed i trains on imbalance i, so that the pairs differ in both. A difference is the mean over the pairs with its
standard error.
"""

import argparse
import tempfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.machine import description
from benchmarks.many_runs import Job, train_all
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.data import ImbalanceSplit

METRICS = {"nmi": "↑", "average_entropy": "↓", "prior_rmse": "↓", "nmi_real": "↑"}
DEFAULT = "default"
VARIANTS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "bf16": {"precision": "bf16"},
    "fp32": {"precision": "fp32"},
    "Q's losses train the front end": {"category_loss_trains_front_end": True},
    "Q's losses leave the front end alone": {"category_loss_trains_front_end": False},
    "hard target in L1": {"code_target": "hard"},
    "no H(c) in L1": {"prior_entropy_in_information": False},
    "straight-through codes": {"straight_through": True},
    "prior follows Q's mean": {"prior_update": "posterior", "prior_lr": 1e-3},
    "prior follows Q's mean at 4e-3": {"prior_update": "posterior", "prior_lr": 4e-3},  # --set prior_warmup_steps=…
    "one batch for batch norm": {"shared_batch_statistics": True},
    "hinge loss": {"gan_loss": "hinge"},
    "R1, γ = 1": {"r1_gamma": 1.0},
    "differentiable translation": {"diff_translation": 0.125},
    "hinge loss, differentiable translation": {"gan_loss": "hinge", "diff_translation": 0.125},
    "differentiable augmentation": {"diff_translation": 0.125, "diff_cutout": 0.5, "diff_colour": 1.0},
    "nt_xent, no entropy loss": {"lambda_3": 0.0},
    **{
        f"{distance}, {name}": {"distance": distance, "lambda_3": lambda_3}
        for distance in ("l2", "cosine", "js")
        for name, lambda_3 in (("λ3 = 0.1", 0.1), ("no entropy loss", 0.0))
    },
}


def main() -> None:
    """Run every variant on every seed and print a Markdown table."""
    arguments = _arguments()
    spec = load_spec(arguments.space, {"dataset.root": arguments.root} if arguments.root else None)
    changes = {key: yaml.safe_load(value) for key, value in (one.split("=", 1) for one in arguments.set)}
    usual = spec.fixed_config(spec.method, 0, changes)
    seeds = range(arguments.seeds)
    names = [n for n in arguments.variants or VARIANTS if n == DEFAULT or usual.with_params(VARIANTS[n]) != usual]
    jobs = {f"{n}, seed {s}": _job(spec, {**changes, **VARIANTS[n]}, s) for s, n in product(seeds, names)}
    with tempfile.TemporaryDirectory() as folder:
        done = train_all(jobs, arguments.log or Path(folder, "log"), Path(folder), arguments.processes)
    ends = {name: reports[max(reports)] for name, reports in done.items()}
    print(f"{description()}\n")
    config = spec.fixed_config(spec.method, 0, {**changes, "report_every": 1})
    print(f"{spec.dataset.name}, width {config.model.width}, {config.train.steps} steps, {arguments.seeds} pairs\n")
    print(_table(ends, names, arguments.seeds))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, required=True)
    parser.add_argument("--root", help="where the images lie")
    parser.add_argument("--set", action="append", default=[], help="key=value for every run")
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), help="some of them (default: all)")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--log", type=Path, help="a line of JSON for each run that is done; a second call goes on")
    return parser.parse_args()


def _job(spec: SearchSpec, changes: Mapping[str, Any], seed: int) -> Job:
    """One run, which is evaluated at its end alone."""
    config = spec.fixed_config(spec.method, seed, changes)
    dataset = spec.dataset.model_copy(update={"imbalance": ImbalanceSplit(split=seed)})
    return Job(dataset, config.with_params({"report_every": config.train.steps}))


def _table(ends: Mapping[str, Mapping[str, float]], names: list[str], seeds: int) -> str:
    header = " | ".join(f"{metric} {arrow} | Δ" for metric, arrow in METRICS.items())
    lines = [f"| variant | {header} |", "|---|" + "---|" * (2 * len(METRICS))]
    for name in names:
        cells = []
        for metric in METRICS:
            values, usual = (np.array([ends[f"{n}, seed {s}"][metric] for s in range(seeds)]) for n in (name, DEFAULT))
            change = values - usual
            error = change.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else 0.0
            cells += [f"{values.mean():.3f}", "" if name == DEFAULT else f"{change.mean():+.3f} ± {error:.3f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
