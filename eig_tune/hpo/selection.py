"""Which trial of a search is the best: one rule, which every command, report and registered model follows.

1. Confirmed before found. If any trial has been confirmed, only confirmed trials are chosen from, by their means over
   fresh seeds. A trial is confirmed when all its fresh seeds have finished. One of which a seed has failed, or is still
   to come, counts as found only, as all others do. Of those that are only found, the ones that were trained on a second
   seed come before all others: what these have found is the mean of both seeds.
2. By an objective: the best in it. By the knee: the nearest to the ideal point, which has in every objective the best
   value there is (the compromise solution of Zeleny 1973). Each objective is scaled by its range over all finished
   trials of the search.
3. Constraints before objectives. Of those that are chosen from, the ones that meet all constraints come first, in the
   order of rule 2. The others follow, that with the least violation first: the sum of what a trial misses of each
   bound, scaled as an objective is. A confirmed trial meets a bound by its mean over fresh seeds.
4. Of equal ones: the nearest to the ideal point, then the better in the first objective in which they differ, in the
   order in which the space names the objectives, then the one that was proposed first.

Shape suffixes: N trials, M objectives.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from eig_tune.config.constraints import Constraints
from eig_tune.errors import ResultError
from eig_tune.hpo import pareto
from eig_tune.hpo.objectives import Metrics, Objectives, front_of, losses_of, missed

KNEE = "knee"
NUMBER = "number"  # a trial was named by a person, and chosen by nothing
_DIGITS = 9  # to which distances are equal


class Finished(Protocol):
    """A finished trial, from wherever it is read."""

    @property
    def number(self) -> int: ...

    @property
    def second(self) -> Metrics:
        """What its parameters have reached on a second seed, evaluated as it was itself; empty while there is none."""

    @property
    def found(self) -> Metrics:
        """What it counts as found: what it has reached itself, or the mean of that and the second seed."""

    @property
    def confirmed(self) -> Metrics:
        """What its parameters reach on fresh seeds; empty while it is not confirmed."""


FinishedT = TypeVar("FinishedT", bound=Finished)


def reached(trial: Finished) -> Metrics:
    """What a trial is judged by: what was confirmed of it, else what it has found."""
    return trial.confirmed or trial.found


def eligible(finished: Sequence[FinishedT]) -> list[FinishedT]:
    """Those that are chosen from: the confirmed ones, or those with a second seed, or all where there are none."""
    confirmed = [trial for trial in finished if trial.confirmed]
    return confirmed or [trial for trial in finished if trial.second] or list(finished)


def ranked(
    finished: Sequence[FinishedT], objectives: Objectives, constraints: Constraints, by: str = KNEE
) -> list[FinishedT]:
    """The eligible trials from best to worst.

    Args:
        finished: all finished trials of the search.
        objectives: metric to direction.
        constraints: metric to bound.
        by: an objective, or ``knee``.

    Raises:
        ResultError: no trial has finished, or ``by`` is no objective of this search.
    """
    if by not in (KNEE, *objectives):
        raise ResultError(f"--by {by}: this search's objectives are {', '.join(objectives)}; choose one, or knee")
    if not finished:
        raise ResultError("no trial of this search has finished yet, so there is nothing to choose from")
    chosen_from = eligible(finished)
    found_NM = _losses([trial.found for trial in finished], objectives)
    losses_NM = _losses([reached(trial) for trial in chosen_from], objectives)
    criterion_N = np.zeros(len(chosen_from)) if by == KNEE else losses_NM[:, list(objectives).index(by)]
    numbers = [trial.number for trial in chosen_from]
    violation_N = _violations([reached(t) for t in chosen_from], [t.found for t in finished], constraints)
    return [chosen_from[index] for index in _best_first(criterion_N, losses_NM, found_NM, numbers, violation_N)]


def choose(
    finished: Sequence[FinishedT], objectives: Objectives, constraints: Constraints, by: str = KNEE
) -> FinishedT:
    """The best trial; arguments and errors are those of :func:`ranked`."""
    return ranked(finished, objectives, constraints, by)[0]


def to_confirm(
    finished: Sequence[FinishedT], objectives: Objectives, constraints: Constraints, top: int
) -> list[FinishedT]:
    """The ``top`` best by what was found: of those that meet all constraints the front from its knee outwards, then
    what only the front dominates; then those that do not, from the least violation on.

    If any trial has a second seed, only those are chosen from: the mean of two seeds is not to be compared with the
    luck of one.
    """
    if not finished:
        return []
    chosen_from = [trial for trial in finished if trial.second] or list(finished)
    found = [trial.found for trial in chosen_from]
    losses_NM, violation_N = _losses(found, objectives), _violations(found, found, constraints)
    rank_N = np.zeros(len(found), dtype=np.int64)
    met_N = violation_N == violation_N.min()
    rank_N[met_N] = pareto.ranks(losses_NM[met_N])
    order = _best_first(rank_N, losses_NM, losses_NM, [trial.number for trial in chosen_from], violation_N)
    return [chosen_from[index] for index in order[:top]]


def start_points(finished: Sequence[FinishedT], objectives: Objectives, constraints: Constraints) -> list[FinishedT]:
    """Trials to begin another search with, best first: the front of the eligible ones, then the front as found."""
    if not finished:
        return []
    best_first = ranked(finished, objectives, constraints)
    best = front_of(best_first, reached, objectives, constraints)
    as_found = front_of(finished, lambda trial: trial.found, objectives, constraints)
    others = [trial for trial in as_found if not trial.confirmed]
    return list({trial.number: trial for trial in [*best, *others]}.values())


def _losses(metrics: Sequence[Metrics], objectives: Objectives) -> pareto.Array:
    return np.array([losses_of(of, objectives) for of in metrics])


def _violations(reached: Sequence[Metrics], found: Sequence[Metrics], constraints: Constraints) -> pareto.Array:
    """The violation [N] of rule 3 of each trial that is chosen from; 0 where it meets all constraints."""
    misses = [missed(metrics, constraints) for metrics in reached]
    range_of = {
        name: _scale(np.array([[of[name]] for of in (*found, *reached) if name in of])).item() for name in constraints
    }
    return np.array([sum(by / range_of[name] for name, by in of.items()) for of in misses])


def _scale(everything_NM: pareto.Array) -> pareto.Array:
    """What a difference in each column is divided by: the range of the column, or 1 where all is the same."""
    if not len(everything_NM):
        return np.ones(everything_NM.shape[1:])
    range_M = np.ptp(everything_NM, axis=0)
    return np.where(range_M > 10**-_DIGITS, range_M, 1.0)


def _best_first(
    criterion_N: NDArray[Any],
    losses_NM: pareto.Array,
    found_NM: pareto.Array,
    numbers: Sequence[int],
    violation_N: pareto.Array,
) -> list[int]:
    """Indices by ``violation_N``, then by ``criterion_N``, then by distance to the ideal point and as rule 4 says.

    What no trial with less violation has cannot be had, so the ideal point is that of those with the least.
    """
    ideal_M = losses_NM[violation_N == violation_N.min()].min(axis=0)
    away_NM = (losses_NM - ideal_M) / _scale(np.concatenate([found_NM, losses_NM]))
    distance_N = np.linalg.norm(away_NM, axis=1).round(_DIGITS)
    keys = (numbers, *losses_NM.T[::-1], distance_N, criterion_N, violation_N)
    return [int(index) for index in np.lexsort(keys)]
