"""How many trials shall share one GPU, by its memory, from a few steps of the largest on the real device."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from eig_tune.config.space import SearchSpec
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData, fit

_SHARE = 0.9  # of the device's memory; the rest is for what fragments
_STEPS = 5  # the last of them as a CUDA graph, whose memory is its own
# A GPU computes for one process at a time: two trials use the gaps of each other's evaluations, more only wait. Under
# NVIDIA's Multi-Process Service they compute side by side (benchmarks/RESULTS.md, "On a GPU").
_MOST, _MOST_UNDER_MPS = 2, 16
_DIFFERENTIABLE = ("diff_translation", "diff_cutout", "diff_colour")
_NUMBERS = ("width", "noise_dim", "categories", "continuous_dim", "batch_size", "r1_gamma", *_DIFFERENTIABLE)
_CHOICES = ("method", "network", "distance", "precision")


@dataclass(frozen=True)
class Need:
    """What the largest trial needs of a device, in bytes.

    Attributes:
        total: the device's memory.
        reserved: the most that PyTorch had reserved.
        context: what CUDA takes for the process itself.
        shared_by_mps: whether NVIDIA's Multi-Process Service runs there.
    """

    device: str
    total: int
    reserved: int
    context: int
    shared_by_mps: bool

    @property
    def trials(self) -> int:
        """How many such trials shall share it; at least one, even where it may run out of memory."""
        fit = max(1, int(_SHARE * self.total / (self.reserved + self.context)))
        return min(fit, _MOST_UNDER_MPS if self.shared_by_mps else _MOST)


def largest_runs(spec: SearchSpec) -> list[TrainConfig]:
    """Runs of a few steps, of which one needs as much memory as any trial of the space.

    They have the largest value of each number that matters, and every combination of method, network, distance and
    precision.
    """
    numbers = {name: max(spec.search[name].extremes()) for name in _NUMBERS if name in spec.search}
    choices = [[(name, value) for value in spec.search[name].extremes()] for name in _CHOICES if name in spec.search]
    short = {"steps": _STEPS, "report_every": _STEPS}
    return [
        spec.base_config().with_params({**numbers, **dict(chosen), **short}) for chosen in itertools.product(*choices)
    ]


def measure_on_cluster(spec: SearchSpec, data: TrialData) -> Need | None:
    """What the largest trial of a space needs, on the first GPU that Ray gives; None when PyTorch sees none there."""
    import ray

    need: Need | None = ray.get(ray.remote(measure).options(num_cpus=1, num_gpus=1).remote(largest_runs(spec), data))
    return need


def measure(runs: Sequence[TrainConfig], data: TrialData) -> Need | None:
    """Train each run for a few steps and evaluate it on this process's GPU, noting the memory it takes.

    Returns:
        What the largest of them needs; the device's whole memory when it does not suffice for one. None when PyTorch
        sees no GPU.
    """
    if not torch.cuda.is_available():
        return None
    data.register()
    total, reserved = torch.cuda.get_device_properties(0).total_memory, 0
    for run in runs:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            next(fit(run, data, device=torch.device("cuda")))
        except torch.OutOfMemoryError:
            reserved = total
        reserved = max(reserved, torch.cuda.max_memory_reserved())
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    context = max(0, total - free - torch.cuda.memory_reserved())
    return Need(torch.cuda.get_device_name(0), total, reserved, context, _mps_runs())


def _mps_runs() -> bool:
    """Whether the service's daemon has its pipe where CUDA programs of this process's environment look for it."""
    return Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"), "control").exists()
