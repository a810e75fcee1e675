"""Rungs that are kept in order as trials come, against the plain sort of everything."""

from collections.abc import Callable

import numpy as np
import pytest

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo import ordered, pareto
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.ordered import Ordered
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.rung import Rung
from eig_tune.hpo.simulation import simulate_search
from eig_tune.hpo.state import SearchState

Draw = Callable[[np.random.Generator, int, int], pareto.Array]


def spread(random: np.random.Generator, points: int, objectives: int) -> pareto.Array:
    return random.random((points, objectives))


def few_values(random: np.random.Generator, points: int, objectives: int) -> pareto.Array:
    return random.integers(0, 5, (points, objectives)).astype(float)


def one_after_another(random: np.random.Generator, points: int, objectives: int) -> pareto.Array:
    """Objectives that agree almost, so that there are nearly as many ranks as points."""
    return random.random((points, 1)) + 0.01 * random.random((points, objectives))


def ever_better(random: np.random.Generator, points: int, objectives: int) -> pareto.Array:
    return 5.0 * random.random((points, objectives)) - np.arange(points)[:, None] / 10


@pytest.mark.parametrize("most_levels", [2, 300])
@pytest.mark.parametrize("draw", [spread, few_values, one_after_another, ever_better])
@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_order_is_that_of_the_plain_sort_whoever_comes(
    objectives: int, seed: int, draw: Draw, most_levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered, "_MOST_LEVELS", most_levels)
    random = np.random.default_rng(seed)
    losses = [tuple(point) for point in draw(random, 90, objectives).tolist()]
    kept, known = Ordered(), 0
    while known < len(losses):
        known = min(len(losses), known + int(random.choice([1, 1, 1, 3, 20])))
        kept.catch_up(losses[:known])
        best_first = pareto.order(np.array(losses[:known])).tolist()
        assert [kept.place(index) for index in best_first] == list(range(1, known + 1))
        some = np.sort(random.choice(known, random.integers(1, known + 1), replace=False))
        in_order = [index for index in best_first if index in some]
        assert (kept.best(some), kept.worst(some)) == (in_order[0], in_order[-1])


class PlainRung(Rung):
    """Sorts everything whenever it is asked."""

    def place(self, trial: int) -> int:
        return self._best_first().index(trial) + 1

    def best_paused(self) -> int:
        return next(trial for _, trial in self.paused_below(0))

    def paused_below(self, places: int) -> list[tuple[int, int]]:
        below = enumerate(self._best_first()[places:], start=places + 1)
        return [(place, trial) for place, trial in below if self._paused[self._index[trial]]]

    def place_of_first_equal(self, trial: int) -> int:
        equal = self._losses[self._index[trial]]
        return next(n for n, t in enumerate(self._best_first(), 1) if self._losses[self._index[t]] == equal)

    def _best_first(self) -> list[int]:
        return [self._trials[index] for index in pareto.order(np.array(self._losses)).tolist()]


def happened(spec: SearchSpec, seed: int, digits: int) -> list[object]:
    """Everything that a search decides whose trials report random metrics."""
    random = np.random.default_rng(seed)
    talent = random.random(spec.trials)

    def measure(trial: int, step: int) -> dict[str, float]:
        nmi = talent[trial] * step / spec.train.steps + 0.2 * random.random()
        return {"nmi": round(nmi, digits), "prior_rmse": round(0.3 - 0.2 * nmi * random.random(), digits)}

    state = SearchState()
    engine = Engine(SearchPolicy(spec), state)
    steps = range(spec.train.report_every, spec.train.steps + 1, spec.train.report_every)
    ran = [(reported.trial, reported.step) for reported in simulate_search(engine, measure, steps, slots=4)]
    return [ran, *((trial.status, trial.reason, sorted(trial.reports)) for trial in state.trials.values())]


@pytest.mark.parametrize("digits", [1, 9])
@pytest.mark.parametrize("brackets", [1, 2])
@pytest.mark.parametrize("objectives", [["nmi"], ["nmi", "prior_rmse"]])
@pytest.mark.parametrize("seed", range(3))
def test_whole_searches_go_as_with_the_plain_sort(
    seed: int, objectives: list[str], brackets: int, digits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    directions = {"nmi": "maximize", "prior_rmse": "minimize"}
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 5000, "report_every": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}, "tau": {"uniform": [0.1, 1]}},
        "trials": 120,
        "sampler": "random",
        "objectives": {name: directions[name] for name in objectives},
        "asha": {"grace": 500, "reduction_factor": 3, "brackets": brackets},
    }
    spec = parse_spec(document, "test")
    kept = happened(spec, seed, digits)
    monkeypatch.setattr("eig_tune.hpo.asha.Rung", PlainRung)
    assert kept == happened(spec, seed, digits)
