"""What a search that goes on with another space, or with more steps, carries over from what it has.

Nothing of it is lost: trials keep their params, reports and numbers. What changes is what is made of them: which of
them the sampler learns from, and which trials still have to train.
"""

from collections.abc import Container, Mapping
from typing import Any

from eig_tune.config.distributions import Distribution
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Trial
from eig_tune.training.config import ParamValue

Params = Mapping[str, ParamValue]


def as_searched_now(params: Params, space: Mapping[str, Distribution], fixed: Mapping[str, Any]) -> Params | None:
    """The params of a trial that was proposed from another space, as this space would have proposed them.

    Args:
        params: the trial's own.
        space: what is searched now.
        fixed: every field of a run by its flat name, as it is where it is not searched; a trial from before a field was
            searched has that value.

    Returns:
        None where this space would not have proposed them.
    """
    now: dict[str, ParamValue] = {}
    for name, distribution in space.items():
        value = params.get(name, fixed[name] if distribution.when is None else None)
        if value is None:
            continue
        inside = distribution.inside(value)
        if inside is None:
            return None
        now[name] = inside
    elsewhere = (name for name in params if name not in space)
    return now if all(params[name] == fixed.get(name) for name in elsewhere) else None


def ended_before(trial: Trial, steps: int) -> bool:
    """Whether a trial has finished once, by a budget of fewer steps than it has now."""
    return any(report.decision.status == "finished" and step < steps for step, report in trial.reports.items())


def finished_before(state: SearchState, steps: int) -> list[Trial]:
    """The trials that count as finished, and have fewer steps than they have to have now."""
    return [t for t in state.trials.values() if t.status == "finished" and t.last and t.last.step < steps]


def reopen_finished(state: SearchState, steps: int, present: Container[str]) -> list[Trial]:
    """Let trials that have finished with fewer steps wait at their rungs again, for the best of them to train on.

    One whose checkpoint was not kept is trained from its beginning when it goes on; what it has reported stays.

    Args:
        state: of trials, or of runs that confirm them.
        steps: the full budget now.
        present: the checkpoints that are still there.

    Returns:
        The trials.
    """
    reopened = finished_before(state, steps)
    for trial in reopened:
        if trial.checkpoint is not None and trial.checkpoint not in present:
            state.checkpoint(trial.number, None, 0)
        state.pause(trial.number)
    return reopened


def reports_without(state: SearchState, metric: str) -> int:
    """How many reports that count do not have a metric."""
    return sum(report.is_valid and metric not in report.metrics for _, report in state.reports)
