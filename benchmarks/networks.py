"""The networks beside each other: time of a step, weights, size of a checkpoint, and what they reach in as many steps.

    python -m benchmarks.networks [--space benchmarks/letters.yaml --root FOLDER] [--size 64] [--width 64]
    python -m benchmarks.networks … --steps 3000 --seeds 3 --log runs.jsonl --cache FOLDER [--processes 2]

Without --space the images are scikit-learn's digits in colour. Steps are timed in one process and on one thread, or on
the GPU where there is one: the networks take turns, block by block, so that whatever else the machine does strikes all
of them alike. With --steps each is trained on as many seeds, in processes of their own, and evaluated at the end; the
log keeps each run that is done. Needs no Ray.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import torch
import yaml

from benchmarks.machine import description
from benchmarks.many_runs import Job, Reports, train_all
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.data import load_images
from eig_tune.models.networks import NETWORKS
from eig_tune.training import TrainConfig, checkpoint
from eig_tune.training.loop import Run, TrialData

METRICS = {"nmi": "↑", "prior_rmse": "↓", "nmi_real": "↑", "label_free_score": "↑"}
YARDSTICK = "infogan"
_DIGITS = {"dataset": {"name": "digits", "channels": 3}, "search": {"lambda_1": {"uniform": [0, 1]}}}
_WARM_UP_STEPS = 5


def main() -> None:
    """Measure and print Markdown tables."""
    arguments = _arguments()
    spec = _spec(arguments)
    configs = {name: _config(spec, name, arguments) for name in arguments.networks}
    shape = f"{spec.dataset.name}, width {next(iter(configs.values())).model.width}"
    print(
        f"{description()}, {_device()}\n\n{shape}, batch {next(iter(configs.values())).train.batch_size}\n", flush=True
    )
    if arguments.blocks:
        print(_steps_table(configs, spec, arguments), flush=True)
    if arguments.steps:
        print(_quality_table(configs, spec, arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, help="its images, method and settings (default: colour digits)")
    parser.add_argument("--root", help="where the images lie")
    parser.add_argument("--size", type=int, help="side of the images (default: the space's)")
    parser.add_argument("--width", type=int, help="width of the networks (default: the space's)")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--set", action="append", default=[], help="key=value for every run")
    parser.add_argument("--blocks", type=int, default=7, help="blocks of timed steps; 0 times nothing")
    parser.add_argument("--block-steps", type=int, default=5)
    parser.add_argument("--steps", type=int, default=0, help="train for so many steps; 0 trains nothing")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--log", type=Path, default=Path("networks.jsonl"), help="a line for each run that is done")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/eig-tune/classifiers").expanduser())
    return parser.parse_args()


def _spec(arguments: argparse.Namespace) -> SearchSpec:
    given = {"dataset.root": arguments.root, "dataset.image_size": arguments.size}
    overrides = {key: value for key, value in given.items() if value is not None}
    return load_spec(arguments.space or _DIGITS, overrides, searching=False)


def _config(spec: SearchSpec, network: str, arguments: argparse.Namespace) -> TrainConfig:
    changes: dict[str, Any] = {
        key: yaml.safe_load(value) for key, value in (one.split("=", 1) for one in arguments.set)
    }
    if arguments.width is not None:
        changes["width"] = arguments.width
    return spec.fixed_config(spec.method, 0, {**changes, "network": network})


def _device() -> str:
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "one thread"


def _steps_table(configs: Mapping[str, TrainConfig], spec: SearchSpec, arguments: argparse.Namespace) -> str:
    torch.set_num_threads(1)
    data = TrialData(load_images(spec.dataset), classifier=None)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    runs = {name: Run(config, data, device) for name, config in configs.items()}
    for run in runs.values():
        run.advance(_WARM_UP_STEPS)
    seconds = take_turns(runs, arguments.blocks, arguments.block_steps)
    head = (
        "| network | ms per step | times as fast as infogan (median, min–max) | weights | checkpoint |\n"
        + "|---" * 5
        + "|"
    )
    size = f"{data.images.image_size}×{data.images.image_size}, {data.images.channels} channels"
    title = f"{size}; {arguments.blocks} blocks of {arguments.block_steps} steps each, wall time\n"
    return "\n".join([title, head, *(_row(name, run, seconds) for name, run in runs.items())]) + "\n"


def take_turns(runs: Mapping[str, Run], blocks: int, steps: int) -> dict[str, list[float]]:
    """Seconds per step in every block of every run."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(blocks):
        for name, run in runs.items():
            started = time.perf_counter()
            run.advance(steps)  # waits for the device, since it reads the losses
            seconds[name].append((time.perf_counter() - started) / steps)
    return seconds


def _row(name: str, run: Run, seconds: Mapping[str, list[float]]) -> str:
    against = seconds.get(YARDSTICK, seconds[name])
    ratios = [theirs / ours for theirs, ours in zip(against, seconds[name], strict=True)]
    faster = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
    weights = sum(weight.numel() for module in run.model.modules().values() for weight in module.parameters())
    return f"| {name} | {1e3 * median(seconds[name]):.1f} | {faster} | {weights / 1e6:.2f} M | {_size_of(run)} |"


def _size_of(run: Run) -> str:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(Path(folder), run.tensors(), run.record())
        return f"{sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6:.1f} MB"


def _quality_table(configs: Mapping[str, TrainConfig], spec: SearchSpec, arguments: argparse.Namespace) -> str:
    budget = {"steps": arguments.steps, "report_every": arguments.steps}
    jobs = {
        f"{name}, seed {seed}": Job(spec.dataset, config.with_params({**budget, "seed": seed}))
        for seed in range(arguments.seeds)
        for name, config in configs.items()
    }
    done = train_all(jobs, arguments.log, arguments.cache, arguments.processes)
    lines = [f"| network | {' | '.join(f'{name} {arrow}' for name, arrow in METRICS.items())} |", "|---" * 5 + "|"]
    for name in configs:
        reached = [done[f"{name}, seed {seed}"] for seed in range(arguments.seeds)]
        lines.append(f"| {name} | " + " | ".join(_mean(reached, arguments.steps, metric) for metric in METRICS) + " |")
    title = f"after {arguments.steps} steps, {arguments.seeds} seeds: mean ± standard deviation\n"
    return "\n".join([title, *lines])


def _mean(seeds: list[Reports], step: int, metric: str) -> str:
    values = [reports[step][metric] for reports in seeds if metric in reports[step]]
    if len(values) < 2:
        return f"{values[0]:.3f}" if values else "–"
    return f"{mean(values):.3f} ± {stdev(values):.3f}"


if __name__ == "__main__":
    main()
