"""How fast a run trains on this machine, and how large it is."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from eig_tune.data import ImageData
from eig_tune.training.config import TrainConfig
from eig_tune.training.loop import Run, TrialData
from eig_tune.training.memory import keep_freed_memory

_WARM_UP_STEPS = 5
_TIMED_STEPS = 25


@dataclass(frozen=True)
class Measured:
    """One trial, measured here on one CPU thread (or the GPU).

    Attributes:
        steps_per_second: optimisation steps, without evaluations.
        network: the networks that it has, by their row; None where its model has others.
        weights: how many are trained.
        checkpoint_bytes: what a checkpoint of it takes.
        evaluation_seconds: what an evaluation takes, without the evaluation classifier's small part in it.
        last_evaluation_seconds: and the last one, at the full budget, which makes more images.
    """

    steps_per_second: float
    network: str | None
    weights: int
    checkpoint_bytes: int
    evaluation_seconds: float
    last_evaluation_seconds: float

    def __str__(self) -> str:
        networks = "" if self.network is None else f"{self.network}, "
        size = f"{self.weights / 1e6:.1f} million weights, {self.checkpoint_bytes / 1e6:.0f} MB a checkpoint"
        speed = f"{self.steps_per_second:.1f} steps/s and {self.evaluation_seconds:.1f} s an evaluation"
        return f"{speed} measured here for one trial ({networks}{size})"


def measure_trial(config: TrainConfig, images: ImageData) -> Measured:
    """Train one trial for some steps."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keep_freed_memory()  # as ``fit`` does
    try:
        run = Run(config, TrialData(images, classifier=None), device)
        run.advance(_WARM_UP_STEPS)
        started = time.perf_counter()
        run.advance(_TIMED_STEPS)
        speed = _TIMED_STEPS / (time.perf_counter() - started)
        run.step = min(run.step, config.train.steps - 1)  # else every evaluation would be the last one
        evaluation = _seconds_of(run.evaluate)
        run.step = config.train.steps
        last_evaluation = _seconds_of(run.evaluate)
        trained = [weight for module in run.model.modules().values() for weight in module.parameters()]
        size = sum(tensor.nbytes for tensor in run.tensors().values())
        weights = sum(weight.numel() for weight in trained)
        return Measured(speed, run.record().network, weights, size, evaluation, last_evaluation)
    finally:
        torch.set_num_threads(threads)


def _seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
