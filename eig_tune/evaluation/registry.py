"""Every metric that this process knows, eig-tune's and the user's own, and what follows from their rows."""

from collections.abc import Iterable
from typing import cast

from eig_tune.errors import EigTuneError
from eig_tune.evaluation.base import Direction, LabelledObservations, Metric, Observations
from eig_tune.evaluation.metrics import METRICS
from eig_tune.schema import suggestion

_BUILT_IN = frozenset(METRICS)


def register_metric(metric: Metric) -> None:
    """Make an own metric known in this process: it is computed at every report, and may be an objective.

    A second one of the same name takes the place of the first. Trials in other processes have those that were
    registered when their :class:`~eig_tune.training.loop.TrialData` was made.

    Raises:
        EigTuneError: eig-tune has a metric of that name.
    """
    if metric.name in _BUILT_IN:
        raise EigTuneError(f"metric {metric.name}: eig-tune has one of this name; give yours another")
    METRICS[metric.name] = metric


def own_metrics() -> tuple[Metric, ...]:
    """What was given to :func:`register_metric` in this process."""
    return tuple(metric for name, metric in METRICS.items() if name not in _BUILT_IN)


def directions() -> dict[str, Direction]:
    """Every metric that may be an objective, with the way in which it is better."""
    return {name: metric.direction for name, metric in METRICS.items() if metric.direction is not None}


def direction_of(name: str) -> Direction:
    """The way in which the metric ``name`` is better.

    Raises:
        EigTuneError: there is no such metric, or neither way is better.
    """
    known = directions()
    if name not in known:
        raise EigTuneError(f"{name}: no such metric{suggestion(name, known)}")
    return known[name]


def compared_metrics() -> dict[str, Direction]:
    """The columns of a comparison, with the way in which each is better."""
    return {name: direction for name, direction in directions().items() if METRICS[name].compared}


def shown_metrics() -> list[str]:
    """What stands in the lines of a single run and in the table of the best trial."""
    return [name for name, metric in METRICS.items() if metric.shown]


def are_of_labels(metrics: Iterable[str]) -> bool:
    """Whether any of these metrics was computed with true labels, so that there were some."""
    return any(METRICS[name].needs_labels for name in metrics if name in METRICS)


def computed(observations: Observations) -> dict[str, float]:
    """Every metric that can be computed from ``observations``, by name.

    Raises:
        EigTuneError: an own metric cannot be computed.
    """
    labelled = isinstance(observations, LabelledObservations)
    computable = [metric for metric in METRICS.values() if labelled or not metric.needs_labels]
    return {metric.name: _compute(metric, cast(LabelledObservations, observations)) for metric in computable}


def _compute(metric: Metric, observations: LabelledObservations) -> float:
    if metric.name in _BUILT_IN:
        return float(metric.compute(observations))
    try:
        return float(metric.compute(observations))
    except Exception as error:  # whatever a user's own function raises
        raise EigTuneError(f"metric {metric.name} cannot be computed: {error!r}") from error
