"""What a search will do and cost, before it runs: the engine itself, run on trials that are as good as luck says."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eig_tune.config.space import SearchSpec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.sampler import Params, Sampler
from eig_tune.hpo.simulation import Reported, simulate_search
from eig_tune.hpo.state import SearchState

_SIMULATED_SEARCHES = 8  # how many trials finish is a matter of luck: it takes several searches to say
_MOST_SIMULATED_TRIALS = 200  # of each; more take seconds and say the same


@dataclass(frozen=True)
class Plan:
    """What a search in so many slots comes to, on average.

    Attributes:
        slots: trials at once.
        reaching: rung to how many trials get there; the full budget is the last.
        search_steps: optimisation steps of all trials.
        confirming_steps: and of the runs on a second seed and on fresh ones, which confirm the best.
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


def make_plan(spec: SearchSpec, slots: int) -> Plan:
    """Plan a search by running it several times without training anything."""
    levels = [*spec.rungs(), spec.train.steps]
    trials = min(spec.trials, _MOST_SIMULATED_TRIALS)
    scale = spec.trials / trials / _SIMULATED_SEARCHES
    reaching, spent, duration = Counter[int](), 0, 0
    for seed in range(_SIMULATED_SEARCHES):
        reports = list(_search_by_luck(spec, trials, seed, slots))
        reaching.update(report.step for report in reports)
        spent += reports[-1].spent
        duration += reports[-1].now
    finished = max(1, round(scale * reaching[spec.train.steps]))
    second = spec.confirm.finalists_of(finished)
    fresh = min(spec.confirm.top, finished) * spec.confirm.runs
    one_after_another = -(-second // slots) + -(-fresh // slots)  # no fresh seed before the last second one has ended
    return Plan(
        slots,
        {level: max(1, round(scale * reaching[level])) for level in levels},
        round(scale * spent),
        (second + fresh) * spec.train.steps,
        round(scale * duration) + one_after_another * spec.train.steps,
    )


def _search_by_luck(spec: SearchSpec, trials: int, seed: int, slots: int) -> Iterator[Reported]:
    """A search with as many trials, each of which always reports the same random loss."""
    lucky = spec.model_copy(update={"trials": trials, "objectives": {"loss": "minimize"}, "constraints": {}})
    luck = random.Random(seed)
    losses = [luck.random() for _ in range(trials)]
    engine = Engine(SearchPolicy(lucky, _NoParams()), SearchState())
    steps = [*spec.rungs(), spec.train.steps]
    return simulate_search(engine, lambda trial, step: {"loss": losses[trial]}, steps, slots)


class _NoParams(Sampler):
    """Where the params do not matter."""

    def propose(self, number: int) -> Params:
        return {}
