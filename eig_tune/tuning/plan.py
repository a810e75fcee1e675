"""What a search will do and cost, before it runs."""

import time
from dataclasses import dataclass

from eig_tune.data import ImageData
from eig_tune.training import TrialData
from eig_tune.training.loop import Run
from eig_tune.tuning.scheduler import bracket_shares
from eig_tune.tuning.space import SearchSpec

_WARM_UP_STEPS = 5
_TIMED_STEPS = 25


@dataclass(frozen=True)
class Plan:
    """Rungs with the number of trials expected to reach each, and the steps that makes in all."""

    reaching: dict[int, int]
    total_steps: int

    def hours(self, steps_per_second: float, slots: int) -> float:
        """Time for all steps on ``slots`` trials at once."""
        return self.total_steps / steps_per_second / slots / 3600


def make_plan(spec: SearchSpec) -> Plan:
    """Every rung lets the best 1 / reduction_factor of its trials go on, and those that are safe there; asynchrony
    adds a few."""
    levels = [*spec.rungs(), spec.train.steps]
    shares = bracket_shares(spec.asha.brackets, spec.asha.reduction_factor)
    going_on = [spec.trials * share for share in shares]
    reaching, before, total = {}, 0, 0.0
    for passed, level in enumerate(levels):
        reaching[level] = max(1, round(sum(going_on)))
        total += max(1.0, sum(going_on)) * (level - before)
        before = level
        going_on = [n if passed < bracket else n / spec.asha.reduction_factor for bracket, n in enumerate(going_on)]
    return Plan(reaching, round(total))


def steps_per_second(spec: SearchSpec, images: ImageData) -> float:
    """Optimisation steps per second of one trial, measured here on one CPU thread (or the GPU)."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = Run(spec.base_config(), TrialData(images, judge=None), device)
        run.advance(_WARM_UP_STEPS)
        started = time.perf_counter()
        run.advance(_TIMED_STEPS)
        return _TIMED_STEPS / (time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
