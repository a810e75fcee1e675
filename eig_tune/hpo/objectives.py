"""Metrics of trials as numbers to compare."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eig_tune.hpo import pareto

Metrics = Mapping[str, float]
Objectives = Mapping[str, str]
T = TypeVar("T")


def losses_of(metrics: Metrics, objectives: Objectives) -> tuple[float, ...]:
    """The objectives in their order, signs turned so that less is better."""
    return tuple(metrics[name] if direction == "minimize" else -metrics[name] for name, direction in objectives.items())


def on_front(finished: Sequence[Metrics], objectives: Objectives) -> NDArray[np.bool_]:
    """Which of the finished trials no other one dominates, shape [N]."""
    return pareto.front(_table(finished, objectives)) if finished else np.zeros(0, dtype=np.bool_)


def front_of(finished: Sequence[T], metrics_of: Callable[[T], Metrics], objectives: Objectives) -> list[T]:
    """The finished trials that no other one dominates, in the order in which they are given."""
    is_best = on_front([metrics_of(trial) for trial in finished], objectives)
    return [trial for trial, best in zip(finished, is_best, strict=True) if best]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of a sample; NaN for an empty one, deviation 0 for a single value."""
    if not values:
        return float("nan"), 0.0
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _table(finished: Sequence[Metrics], objectives: Objectives) -> pareto.Array:
    return np.array([losses_of(metrics, objectives) for metrics in finished])
