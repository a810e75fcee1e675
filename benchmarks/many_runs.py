"""Many runs side by side on this machine, each in a process of one thread, on the GPU where there is one.

What is done is kept in a file, a line of JSON for each run, so that a later call goes on where an earlier one was
stopped.
"""

import json
import multiprocessing
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from eig_tune.data import DatasetConfig, ImageData, load_images
from eig_tune.evaluation.classifier import Role, train_classifier
from eig_tune.evaluation.evaluator import Evaluation
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData, fit


@dataclass(frozen=True)
class Job:
    """One run: its images, its config, and the classifier that evaluates it."""

    dataset: DatasetConfig
    config: TrainConfig
    role: Role = "selection"


@dataclass(frozen=True)
class Done:
    """What a run has reached.

    Attributes:
        reports: step to metrics.
        end: the prior [K], how much categories look alike [K, K], and, with labels, the table of categories and classes
            [K, C] and the true class distribution [C], at the last report.
        seconds: from its start to its end, shared with those beside it.
    """

    reports: dict[int, dict[str, float]]
    end: dict[str, Any]
    seconds: float


def train_all(
    jobs: Mapping[str, Job], log: Path, cache: Path, processes: int, seconds: float = float("inf")
) -> dict[str, Done]:
    """Train every job that ``log`` does not have yet, by name; all that it has then.

    Args:
        cache: where the evaluation classifiers are kept; those that are missing are trained first.
        seconds: after so many, no further run is begun.
    """
    done = _read(log)
    left = {name: job for name, job in jobs.items() if name not in done}
    until = time.time() + seconds
    context = multiprocessing.get_context("spawn")
    log.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=context) as pool, log.open("a", encoding="utf-8") as file:
        classifiers = {(job.dataset.model_dump_json(), job.role) for job in left.values()}
        list(pool.map(partial(_data, cache=cache), *zip(*classifiers, strict=True)) if classifiers else [])
        running = {pool.submit(_train, job, cache, until): name for name, job in left.items()}
        for future in as_completed(running):
            reached = future.result()
            if reached is not None:
                done[running[future]] = reached
                file.write(json.dumps({"name": running[future], **asdict(reached)}) + "\n")
                file.flush()
    return {name: done[name] for name in jobs if name in done}


def _read(log: Path) -> dict[str, Done]:
    """What was kept; a last line that was cut off counts as not done."""
    done = {}
    for line in log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []:
        kept = json.loads(line)
        reports = {int(step): metrics for step, metrics in kept["reports"].items()}
        done[kept["name"]] = Done(reports, kept["end"], kept["seconds"])
    return done


def _train(job: Job, cache: Path, until: float) -> Done | None:
    if time.time() > until:
        return None
    started = time.time()
    torch.set_num_threads(1)
    reports = {}
    for progress in fit(job.config, _data(job.dataset.model_dump_json(), job.role, cache)):
        reports[progress.step] = progress.metrics()
    return Done(reports, _end(progress.evaluation), time.time() - started)


@lru_cache(maxsize=8)
def _data(dataset: str, role: Role, cache: Path) -> TrialData:
    torch.set_num_threads(1)
    images: ImageData = load_images(DatasetConfig.model_validate_json(dataset))
    return TrialData(images, train_classifier(images, cache, role=role) if images.classes else None)


def _end(evaluation: Evaluation) -> dict[str, Any]:
    arrays = {
        "prior": evaluation.prior,
        "alike": evaluation.categories.alike_KK,
        "table": evaluation.table,
        "class_distribution": evaluation.class_distribution,
    }
    return {name: array.tolist() for name, array in arrays.items() if array is not None}
