"""Many runs side by side on this machine, each in a process of one thread, on the GPU where there is one.

What is done is kept in a file, a line of JSON for each run, so that a later call goes on where an earlier one was
stopped.
"""

import json
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch

from eig_tune.data import DatasetConfig, ImageData, load_images
from eig_tune.evaluation.classifier import Role, train_classifier
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData, fit

Reports = dict[int, dict[str, float]]  # step to metrics


@dataclass(frozen=True)
class Job:
    """One run: its images, its config, and the classifier that evaluates it."""

    dataset: DatasetConfig
    config: TrainConfig
    role: Role = "selection"


def train_all(jobs: Mapping[str, Job], log: Path, cache: Path, processes: int) -> dict[str, Reports]:
    """Train every job that ``log`` does not have yet; what each has reached, by name.

    Args:
        cache: where the evaluation classifiers are kept; those that are missing are trained first.
    """
    done = _read(log)
    left = {name: job for name, job in jobs.items() if name not in done}
    context = multiprocessing.get_context("spawn")
    log.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=context) as pool, log.open("a", encoding="utf-8") as file:
        classifiers = {(job.dataset.model_dump_json(), job.role) for job in left.values()}
        list(pool.map(partial(_data, cache=cache), *zip(*classifiers, strict=True)) if classifiers else [])
        running = {pool.submit(_train, job, cache): name for name, job in left.items()}
        for future in as_completed(running):
            name = running[future]
            done[name] = future.result()
            file.write(json.dumps({"name": name, "reports": done[name]}) + "\n")
            file.flush()
    return {name: done[name] for name in jobs}


def _read(log: Path) -> dict[str, Reports]:
    """What was kept; a last line that was cut off counts as not done, and is taken out, since more will follow."""
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        log.write_text(whole, encoding="utf-8")
    kept = [json.loads(line) for line in whole.splitlines()]
    return {run["name"]: {int(step): metrics for step, metrics in run["reports"].items()} for run in kept}


def _train(job: Job, cache: Path) -> Reports:
    torch.set_num_threads(1)
    data = _data(job.dataset.model_dump_json(), job.role, cache)
    return {progress.step: progress.metrics() for progress in fit(job.config, data)}


@lru_cache(maxsize=8)
def _data(dataset: str, role: Role, cache: Path) -> TrialData:
    torch.set_num_threads(1)
    images: ImageData = load_images(DatasetConfig.model_validate_json(dataset))
    return TrialData(images, train_classifier(images, cache, role=role) if images.classes else None)
