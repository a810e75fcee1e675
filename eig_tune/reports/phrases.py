"""What a search has come to, in phrases that its description in MLflow and the terminal share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from eig_tune.config.space import SearchSpec
from eig_tune.hpo.selection import KNEE, Confirmed, candidates_of, eligible, fresh_seeds, selection_bias
from eig_tune.hpo.trial import Status, Trial

_KNEE_IN_WORDS = "the knee of the front (nearest to the best of every objective)"


def count_outcomes(trials: Iterable[Trial]) -> str:
    """``4 finished, 10 stopped, 2 collapsed``, of a search that is not running."""
    outcomes = [trial.outcome for trial in trials]
    order = ("interrupted", *get_args(Status))
    return ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in order if outcome in outcomes)


def found_and_confirmed(
    objectives: Iterable[str], found: Mapping[str, float], means: Mapping[str, float], deviations: Mapping[str, float]
) -> str:
    """``nmi found 0.950, confirmed 0.931 ± 0.012; …``"""
    return "; ".join(
        f"{name} found {found[name]:.3f}, confirmed {means[name]:.3f} ± {deviations[name]:.3f}"
        for name in objectives
        if name in found and name in means
    )


def selection_bias_in_words(
    objectives: Iterable[str], confirmed: Sequence[Confirmed], trials: Mapping[int, Trial]
) -> str:
    """How much each objective's found value differs from its confirmed mean on average; empty without a complete
    confirmation."""
    complete = [reached for reached in confirmed if reached.complete]
    if not complete:
        return ""
    biases = ", ".join(f"{name} {selection_bias(complete, trials, name):+.3f}" for name in objectives)
    return f"selection bias (found − confirmed): {biases}"


def confirmation_in_words(spec: SearchSpec, reached: Confirmed, trials: Mapping[int, Trial]) -> str:
    """What one trial has reached on fresh seeds, and why that does not count where it does not."""
    last = trials[reached.trial].last
    found = {} if last is None else last.metrics
    values = found_and_confirmed(spec.objectives, found, reached.means, reached.deviations)
    if reached.complete:
        return f"trial {reached.trial}, {fresh_seeds(reached.seeds)}: {values}"
    return "; ".join(filter(None, [f"trial {reached.trial}, {reached}, so it does not count as confirmed", values]))


def criterion(objectives: Mapping[str, str], by: str = KNEE) -> str:
    """What the best trial is chosen by; with a single objective the knee is the best value."""
    if by != KNEE:
        return by
    return _KNEE_IN_WORDS if len(objectives) > 1 else next(iter(objectives))


def chosen_in_words(spec: SearchSpec, trials: Sequence[Trial], confirmed: Sequence[Confirmed]) -> str:
    """``the best of 3 confirmed trials by the knee of the front …``"""
    candidates = eligible(candidates_of(trials, confirmed))
    kind = "confirmed" if any(trial.confirmed for trial in candidates) else "finished"
    if len(candidates) == 1:
        return f"the only {kind} trial"
    return f"the best of {len(candidates)} {kind} trials by {criterion(spec.objectives)}"


def short(value: Any) -> str:
    """A number in four digits at most, anything else as it is printed."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
