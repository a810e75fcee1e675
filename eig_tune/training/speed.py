"""How fast a run trains on this machine, and how large it is."""

import time
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
        steps_per_second: optimisation steps.
        network: the networks that it has, by their row; None where its model has others.
        weights: how many are trained.
        checkpoint_bytes: what a checkpoint of it takes.
    """

    steps_per_second: float
    network: str | None
    weights: int
    checkpoint_bytes: int

    def __str__(self) -> str:
        networks = "" if self.network is None else f"{self.network}, "
        size = f"{self.weights / 1e6:.1f} million weights, {self.checkpoint_bytes / 1e6:.0f} MB a checkpoint"
        return f"{self.steps_per_second:.1f} steps/s measured here for one trial ({networks}{size})"


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
        trained = [weight for module in run.model.modules().values() for weight in module.parameters()]
        size = sum(tensor.nbytes for tensor in run.tensors().values())
        return Measured(speed, run.record().network, sum(weight.numel() for weight in trained), size)
    finally:
        torch.set_num_threads(threads)
