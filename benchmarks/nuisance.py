"""A stable nuisance, half of the images inverted, which no label-free number sees, and its remedy: δ that inverts.

    python -m benchmarks.nuisance [--space search_spaces/digits.yaml] [--seeds 2] [--set steps=1500] [--processes 2]

Seed i trains on imbalance i; which images are inverted is drawn once for all. A row of the table is the mean over the
seeds, with the standard deviation where there are several.
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.machine import description
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.data import ImageData, Images, ImbalanceSplit, load_images
from eig_tune.evaluation.classifier import train_classifier
from eig_tune.evaluation.metrics import METRICS
from eig_tune.training.loop import TrialData, fit

LABELLED = ("nmi", "nmi_real", "prior_rmse")
RUNS: Mapping[str, tuple[bool, float]] = {  # whether half of the images are inverted, and augment.invert
    "as they are": (False, 0.0),
    "half inverted": (True, 0.0),
    "half inverted, `invert: 0.5`": (True, 0.5),
}


def main() -> None:
    """Train every run on every seed and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, default=Path("search_spaces/digits.yaml"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="key=value for every run")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    spec = load_spec(arguments.space)
    changes = {key: yaml.safe_load(value) for key, value in (one.split("=", 1) for one in arguments.set)}
    with tempfile.TemporaryDirectory() as cache:
        for inverted in (False, True):  # its classifier, before processes ask for it
            train_classifier(_images(spec, inverted), Path(cache))
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.processes, mp_context=spawn) as pool:
            runs = product(RUNS, range(arguments.seeds))
            pending = {(name, seed): pool.submit(_final, spec, name, seed, changes, cache) for name, seed in runs}
            results = {run: future.result() for run, future in pending.items()}
    print(f"{description()}\n")
    print(_table(results, arguments.seeds))


def _final(spec: SearchSpec, name: str, seed: int, changes: Mapping[str, Any], cache: str) -> dict[str, float]:
    """The metrics that one run has at its end."""
    torch.set_num_threads(1)
    inverted, invert = RUNS[name]
    images = _images(spec, inverted)
    classifier = train_classifier(images, Path(cache))
    config = spec.fixed_config(spec.method, seed, {**changes, "invert": invert})
    config = config.with_params({"report_every": config.train.steps})
    data = TrialData(images.with_imbalance(ImbalanceSplit(split=seed)), classifier)
    (progress,) = fit(config, data, device=torch.device("cpu"))
    return progress.evaluation.metrics


def _images(spec: SearchSpec, inverted: bool) -> ImageData:
    data = load_images(spec.dataset)
    if not inverted:
        return data
    rng = np.random.default_rng(0)
    trainable, held_out = half_inverted(data.trainable, rng), half_inverted(data.held_out, rng)
    return replace(data, trainable=trainable, held_out=held_out).with_imbalance("none")


def half_inverted(images: Images, rng: np.random.Generator) -> Images:
    """The images, half of them light for dark."""
    chosen = rng.random((len(images), 1, 1, 1)) < 0.5
    return Images(np.where(chosen, 255 - images.pixels, images.pixels), images.labels)


def _table(results: Mapping[tuple[str, int], Mapping[str, float]], seeds: int) -> str:
    label_free = [row.name for row in METRICS.values() if row.direction is not None and not row.needs_labels]
    columns = [*LABELLED, *label_free]
    lines = [f"| images | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name in RUNS:
        values = np.array([[results[name, seed][column] for column in columns] for seed in range(seeds)])
        spread = values.std(axis=0, ddof=1) if seeds > 1 else np.zeros(len(columns))
        cells = [f"{mean:.3f} ± {std:.3f}" for mean, std in zip(values.mean(axis=0), spread, strict=True)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
