"""Metrics of trials as numbers to compare.

Shape suffixes: N finished trials.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eig_tune.config.constraints import Constraints
from eig_tune.hpo import pareto

Metrics = Mapping[str, float]
Objectives = Mapping[str, str]
T = TypeVar("T")


def losses_of(metrics: Metrics, objectives: Objectives) -> tuple[float, ...]:
    """The objectives in their order, signs turned so that less is better."""
    return tuple(metrics[name] if direction == "minimize" else -metrics[name] for name, direction in objectives.items())


def missed(metrics: Metrics, constraints: Constraints) -> dict[str, float]:
    """By how much each constraint that is not met is missed; infinitely by metrics that lack its own."""
    excess = {name: bound.excess(metrics.get(name, math.nan)) for name, bound in constraints.items()}
    return {name: math.inf if math.isnan(by) else by for name, by in excess.items() if not by <= 0}


def on_front(finished: Sequence[Metrics], objectives: Objectives, constraints: Constraints) -> NDArray[np.bool_]:
    """Which of the finished trials no other one dominates, shape [N]: among those that meet all constraints, or among
    all where none does."""
    compared_N = np.array([not missed(metrics, constraints) for metrics in finished], dtype=np.bool_)
    if not compared_N.any():
        compared_N[:] = True
    best_N = np.zeros(len(finished), dtype=np.bool_)
    if finished:
        best_N[compared_N] = pareto.front(_table(finished, objectives)[compared_N])
    return best_N


def front_of(
    finished: Sequence[T],
    metrics_of: Callable[[T], Metrics],
    objectives: Objectives,
    constraints: Constraints,
) -> list[T]:
    """The trials of :func:`on_front`, in the order in which they are given."""
    is_best = on_front([metrics_of(trial) for trial in finished], objectives, constraints)
    return [trial for trial, best in zip(finished, is_best, strict=True) if best]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of a sample; the mean of an empty one and the deviation of a single value are NaN."""
    mean = float(np.mean(values)) if values else math.nan
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _table(finished: Sequence[Metrics], objectives: Objectives) -> pareto.Array:
    return np.array([losses_of(metrics, objectives) for metrics in finished])
