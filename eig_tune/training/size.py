"""How much memory of a machine a trial takes, before one is trained."""

import logging
from collections.abc import Iterable

import torch

from eig_tune.data import ImageData
from eig_tune.models.base import build_model
from eig_tune.training.config import TrainConfig
from eig_tune.training.loop import model_setup

logger = logging.getLogger(__name__)

# From the table in docs/operating.md, of processes that train on the CPU: its rows up to 32 × 32 within 0.2 GiB.
# Activations of large images and batches come on top.
_PROCESS = int(0.87 * 2**30)  # bytes of a process with its libraries
_A_WEIGHT = {"cpu": 26, "cuda": 16}  # bytes: trained, its gradient, moments and average; on a GPU, a checkpoint's copy


def memory_of_a_trial(runs: Iterable[TrainConfig], images: ImageData, device: str) -> int:
    """Bytes of main memory that the largest of these runs takes at least.

    Args:
        device: where it trains, ``cpu`` or ``cuda``.
    """
    different = {(run.method, run.model.network): run for run in runs}
    return _PROCESS + _A_WEIGHT[device] * max(_weights(run, images) for run in different.values())


def _weights(run: TrainConfig, images: ImageData) -> int:
    categories = run.model.categories
    shares = torch.full((categories,), 1 / categories)  # as many as there are, for a method that is given them
    setup = model_setup(run, images.image_size, images.channels, shares, torch.Generator())
    try:
        model = build_model(setup)
    except Exception:  # an own model's mistake, which its trial will report with its reason
        logger.debug("the model of %s cannot be made to count its weights", run.method, exc_info=True)
        return 0
    return sum(weight.numel() for module in model.modules().values() for weight in module.parameters())
