"""What a search will do and cost, before it runs."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from eig_tune.config.space import SearchSpec
from eig_tune.hpo.asha import SuccessiveHalving
from eig_tune.hpo.simulation import simulate

_SIMULATED_SEARCHES = 8  # how many finish is a matter of luck: it takes several to tell
_MOST_SIMULATED_TRIALS = 200  # of each; more take seconds and say the same


@dataclass(frozen=True)
class Plan:
    """What a search in so many slots comes to, on average.

    Attributes:
        slots: trials at once.
        reaching: rung to how many trials get there; the full budget is the last.
        search_steps: optimisation steps of all trials.
        confirming_steps: and of the runs that confirm the best.
        duration: from the beginning to the end, in steps that one slot makes in that time. The last trials run
            alone: in many slots this is more than an even share of the work.
    """

    slots: int
    reaching: Mapping[int, int]
    search_steps: int
    confirming_steps: int
    duration: int

    @property
    def total_steps(self) -> int:
        """Of trials and confirmations."""
        return self.search_steps + self.confirming_steps

    @property
    def busy(self) -> float:
        """Share of the slots' time in which they have a trial."""
        return self.total_steps / (self.duration * self.slots)

    def hours(self, steps_per_second: float) -> float:
        """From the beginning to the end."""
        return self.duration / steps_per_second / 3600


class _Luck:
    """Successive halving among trials that are as good as a random number says."""

    def __init__(self, spec: SearchSpec, trials: int, seed: int) -> None:
        self._halving = SuccessiveHalving(spec.rungs(), spec.asha.reduction_factor, trials, spec.asha.brackets)
        self._random = random.Random(seed)
        self._budget = spec.train.steps
        self._trials = trials
        self._losses: list[float] = []
        self._running = self._finished = 0

    def propose(self) -> int | None:
        """As the engine does."""
        trial = self._halving.promote()
        if trial is None and len(self._losses) < self._trials:
            trial = len(self._losses)
            self._losses.append(self._random.random())
        if trial is None and not self._running and not self._finished:
            trial = self._halving.promote(force=True)
        self._running += trial is not None
        return trial

    def goes_on(self, trial: int, step: int) -> bool:
        """Take a report of a trial that has reached the next rung, or its end."""
        if step == self._budget:
            self._finished += 1
        else:
            self._halving.enter(trial, step, (self._losses[trial],))
            if self._halving.goes_on(trial, step):
                return True
            self._halving.wait(trial)
        self._running -= 1
        return False


def make_plan(spec: SearchSpec, slots: int) -> Plan:
    """Plan a search by running it several times without training anything."""
    levels = [*spec.rungs(), spec.train.steps]
    trials = min(spec.trials, _MOST_SIMULATED_TRIALS)
    scale = spec.trials / trials / _SIMULATED_SEARCHES
    reaching, spent, duration = Counter[int](), 0, 0
    for seed in range(_SIMULATED_SEARCHES):
        luck = _Luck(spec, trials, seed)
        reports = list(simulate(luck.propose, luck.goes_on, levels, slots))
        reaching.update(report.step for report in reports)
        spent += reports[-1].spent
        duration += reports[-1].now
    finished = max(1, round(scale * reaching[spec.train.steps]))
    confirming = min(spec.confirm.top, finished) * spec.confirm.seeds
    return Plan(
        slots,
        {level: max(1, round(scale * reaching[level])) for level in levels},
        round(scale * spent),
        confirming * spec.train.steps,
        round(scale * duration) + -(-confirming // slots) * spec.train.steps,
    )
