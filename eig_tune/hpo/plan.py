"""What a search will do and cost, before it runs: the engine itself, run on trials that are as good as luck says."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from eig_tune.config.space import SearchSpec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.finalists import Finalists
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.sampler import Params, Sampler
from eig_tune.hpo.simulation import goes_on_after, simulate
from eig_tune.hpo.stages import Stage, Stages
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.wanted_runs import WantedRuns

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


def make_plan(spec: SearchSpec, slots: int) -> Plan:
    """Plan a search by running it several times without training anything."""
    trials = min(spec.trials, _MOST_SIMULATED_TRIALS)
    scale = spec.trials / trials / _SIMULATED_SEARCHES
    searches = [_search_by_luck(spec, trials, seed, slots) for seed in range(_SIMULATED_SEARCHES)]
    reaching = {
        level: max(1, round(scale * sum(search.reaching[level] for search in searches)))
        for level in (*spec.rungs(), spec.train.steps)
    }
    finished = reaching[spec.train.steps]
    runs = spec.confirm.finalists_of(finished) + min(spec.confirm.top, finished) * spec.confirm.runs
    search_steps, confirming_steps = round(scale * sum(each.steps for each in searches)), runs * spec.train.steps
    idle = sum(slots * each.ends - each.steps - each.confirming_steps for each in searches) / _SIMULATED_SEARCHES
    duration = round((search_steps + confirming_steps + idle) / slots)
    return Plan(slots, reaching, search_steps, confirming_steps, duration)


@dataclass
class _Simulated:
    """A search that trained nothing.

    Attributes:
        reaching: step to how many trials got there.
        steps: of all trials.
        confirming_steps: of the runs that confirm the best.
        ends: when all have ended, in steps that one slot makes in that time.
    """

    reaching: Counter[int]
    steps: int = 0
    confirming_steps: int = 0
    ends: int = 0


def _search_by_luck(spec: SearchSpec, trials: int, seed: int, slots: int) -> _Simulated:
    """A search with as many trials, each of which always reports the same random loss, as do its further seeds."""
    luck = random.Random(seed)
    losses = [luck.random() for _ in range(trials)]
    engines, stages = _engines(spec, trials)
    running, reached = dict[int, tuple[Engine, int]](), Counter[int]()

    def propose() -> int | None:
        proposed = stages.propose()
        if proposed is None:
            return None
        stage, trial = proposed
        key = trial.number * len(engines) + engines.index(stage.engine)
        running[key] = stage.engine, trial.number
        return key

    def goes_on(key: int, step: int) -> bool:
        engine, number = running[key]
        loss = losses[engine.state.trials[number].params.get("trial", number)]
        return goes_on_after(engine, number, step, {"loss": loss})

    found = _Simulated(Counter())
    for now, _, key, step in simulate(propose, goes_on, (*spec.rungs(), spec.train.steps), slots):
        if running[key][0] is engines[0]:
            found.reaching[step] += 1
            found.steps += step - reached[key]
        found.ends, reached[key] = now, step
    needed = (run for engine in engines[1:] for run in engine.state.trials.values() if run.status == "finished")
    found.confirming_steps = sum(1 for _ in needed) * spec.train.steps
    return found


def _engines(spec: SearchSpec, trials: int) -> tuple[list[Engine], Stages[Stage]]:
    """Those of the search, of second and of fresh seeds."""
    changed = {"trials": trials, "objectives": {"loss": "minimize"}, "constraints": {}}
    lucky = spec.model_copy(update=changed)
    search, second, fresh = SearchState(), SearchState(), SearchState()
    splits = range(len(spec.confirm.splits) or 1)
    finalists = Finalists(lucky, search, lambda: trials, second, has_second_seeds=True, splits=splits)
    engines = [
        Engine(SearchPolicy(lucky, _NoParams()), search),
        Engine(WantedRuns(lucky, second, finalists.second_runs, finalists.search_ended), second),
        Engine(WantedRuns(lucky, fresh, finalists.fresh_runs, finalists.second_seeds_ended), fresh),
    ]
    return engines, Stages([Stage(engine) for engine in engines])


class _NoParams(Sampler):
    """Where the params do not matter."""

    def propose(self, number: int) -> Params:
        return {}
