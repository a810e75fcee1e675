"""How fast a run trains on this machine."""

import time

import torch

from eig_tune.data import ImageData
from eig_tune.training.config import TrainConfig
from eig_tune.training.loop import Run, TrialData
from eig_tune.training.memory import keep_freed_memory

_WARM_UP_STEPS = 5
_TIMED_STEPS = 25


def steps_per_second(config: TrainConfig, images: ImageData) -> float:
    """Optimisation steps per second of one trial, measured here on one CPU thread (or the GPU)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keep_freed_memory()  # as ``fit`` does
    try:
        run = Run(config, TrialData(images, classifier=None), device)
        run.advance(_WARM_UP_STEPS)
        started = time.perf_counter()
        run.advance(_TIMED_STEPS)
        return _TIMED_STEPS / (time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
