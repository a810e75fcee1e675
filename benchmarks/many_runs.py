"""Many runs side by side on this machine, each in a process of one thread, on the GPU where there is one.

What is done is kept in a file, a line of JSON for each run, so that a later call goes on where an earlier one was
stopped.
"""

import hashlib
import json
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
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
        jobs: by name; the log knows a run by its name and by whatever decides it.
        cache: where the evaluation classifiers are kept; those that are missing are trained first.
    """
    done = _read(log)
    keys = {name: _key(name, job) for name, job in jobs.items()}
    left = {keys[name]: job for name, job in jobs.items() if keys[name] not in done}
    context = multiprocessing.get_context("spawn")
    log.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=context) as pool, log.open("a", encoding="utf-8") as file:
        # One for all imbalances of a data set, since it is trained on all images.
        classifiers = {(_balanced(job.dataset).model_dump_json(), job.role) for job in left.values()}
        for trained in [pool.submit(_train_classifier, *one, cache) for one in classifiers]:
            trained.result()
        running = {pool.submit(_train, job, cache): key for key, job in left.items()}
        for future in as_completed(running):
            key = running[future]
            done[key] = future.result()
            file.write(json.dumps({"name": key, "reports": done[key]}) + "\n")
            file.flush()
    return {name: done[keys[name]] for name in jobs}


def _key(name: str, job: Job) -> str:
    decides = job.dataset.model_dump_json() + job.config.model_dump_json() + job.role
    return f"{name}, {hashlib.sha256(decides.encode()).hexdigest()[:12]}"


def _balanced(dataset: DatasetConfig) -> DatasetConfig:
    return dataset.model_copy(update={"imbalance": "none"})


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


def _train_classifier(dataset: str, role: Role, cache: Path) -> None:
    """Its images are not kept: a run reads those of its own imbalance."""
    torch.set_num_threads(1)
    images: ImageData = load_images(DatasetConfig.model_validate_json(dataset))
    if images.classes:
        train_classifier(images, cache, role=role)


@lru_cache(maxsize=8)
def _data(dataset: str, role: Role, cache: Path) -> TrialData:
    torch.set_num_threads(1)
    images: ImageData = load_images(DatasetConfig.model_validate_json(dataset))
    return TrialData(images, train_classifier(images, cache, role=role) if images.classes else None)
