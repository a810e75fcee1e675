"""What a search has come to, in phrases that its description in MLflow and the terminal share."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from eig_tune.config.constraints import Bound, Constraints
from eig_tune.config.space import SearchSpec
from eig_tune.hpo.candidates import Candidate, fresh_seeds
from eig_tune.hpo.objectives import Metrics, missed
from eig_tune.hpo.selection import KNEE, Finished, eligible, reached
from eig_tune.hpo.selection_bias import Compared, SelectionBias, selection_bias
from eig_tune.hpo.trial import Status, Trial

_MOST_NAMED = 5
_KNEE_IN_WORDS = "the knee of the front (nearest to the best of every objective)"


def count_outcomes(trials: Iterable[Trial]) -> str:
    """``4 finished, 10 stopped, 2 collapsed``, of a search that is not running."""
    return _counted([trial.outcome for trial in trials])


def count_statuses(trials: Iterable[Trial]) -> str:
    """``2 running, 4 finished``, of a search that runs."""
    return _counted([trial.status for trial in trials])


def _counted(words: Sequence[str]) -> str:
    order = ("interrupted", *get_args(Status))
    return ", ".join(f"{words.count(word)} {word}" for word in order if word in words)


def values_in_words(
    names: Iterable[str], values: Metrics, deviations: Metrics | None = None, separator: str = ", "
) -> str:
    """``nmi 0.931 ± 0.012, prior_rmse 0.041``, of those that have a value."""
    spread = deviations or {}
    return separator.join(f"{name} {with_spread(values[name], spread.get(name))}" for name in names if name in values)


def with_spread(mean: float, deviation: float | None, digits: int = 3) -> str:
    """``0.931 ± 0.012``; the mean alone where a single run has no deviation."""
    known = deviation is not None and not math.isnan(deviation)
    return f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if known else "")


def found_and_confirmed(
    objectives: Iterable[str], found: Mapping[str, float], means: Mapping[str, float], deviations: Mapping[str, float]
) -> str:
    """``nmi found 0.950, confirmed 0.931 ± 0.012; …``"""
    return "; ".join(
        f"{name} found {found[name]:.3f}, confirmed {with_spread(means[name], deviations.get(name))}"
        for name in objectives
        if name in found and name in means
    )


def selection_bias_in_words(objectives: Iterable[str], finished: Sequence[Compared]) -> str:
    """Found against confirmed for each objective, with the standard error and the 95 % interval of the difference;
    empty where nothing is confirmed."""
    of = {name: selection_bias(finished, name) for name in objectives}
    biases = {name: bias for name, bias in of.items() if bias is not None}
    if not biases:
        return ""
    trials, splits = next(iter(biases.values())).trials, max(trial.splits for trial in finished)
    over = f"{trials} trial{'' if trials == 1 else 's'}"
    over += f", confirmed on {splits} splits and found on one" if splits else ""
    return f"selection bias (found − confirmed) over {over}: {'; '.join(map(_bias_in_words, biases, biases.values()))}"


def _bias_in_words(name: str, bias: SelectionBias) -> str:
    """``nmi 0.931 − 0.893 = +0.038 ± 0.012 (95 %: +0.010 to +0.066)``; the error after ±."""
    text = f"{name} {bias.found:.3f} − {bias.confirmed:.3f} = {bias.difference:+.3f}"
    if bias.error is None or bias.interval is None:
        return text
    low, high = bias.interval
    return f"{text} ± {bias.error:.3f} (95 %: {low:+.3f} to {high:+.3f})"


def confirmation_in_words(spec: SearchSpec, trial: Candidate) -> str:
    """What the parameters of one trial have reached on fresh seeds, and why that does not count where it does not."""
    confirmed = trial.confirmation
    assert confirmed is not None, "it was trained on fresh seeds"
    judged = dict.fromkeys([*spec.objectives, *spec.constraints])
    values = found_and_confirmed(judged, trial.found, confirmed.means, confirmed.deviations)
    if confirmed.complete:
        missing = missed_in_words(confirmed.means, spec.constraints)
        values += f"; on fresh seeds {missing}" if missing else ""
        found = "found on 2 seeds, " if trial.second else ""
        return f"trial {trial.number}, {found}{fresh_seeds(confirmed.seeds, confirmed.splits)}: {values}"
    count = f"trial {trial.number}, {confirmed}, so it does not count as confirmed"
    return "; ".join(filter(None, [count, values]))


def second_seeds_in_words(objectives: Iterable[str], finished: Iterable[Candidate]) -> str:
    """What each finalist has reached on its own seed and on the second one; empty where there were no finalists."""
    names, of_trials = list(objectives), []
    for trial in finished:
        if trial.second and trial.trial.last is not None:
            own, second = trial.trial.last.metrics, trial.second
            values = [
                f"{name} {own[name]:.3f} and {second[name]:.3f}" for name in names if name in own and name in second
            ]
            of_trials.append(f"trial {trial.number} {', '.join(values)}")
    return f"finalists, on their own and on a second seed: {'; '.join(of_trials)}" if of_trials else ""


def missed_in_words(metrics: Metrics, constraints: Constraints) -> str:
    """``nmi_real is 0.712 and not >= 0.8``, of each constraint that is missed; empty where all are met."""
    return ", ".join(
        f"{name} is {_value(metrics, name)} and not {constraints[name]}" for name in missed(metrics, constraints)
    )


def constraints_in_words(finished: Sequence[Finished], constraints: Constraints) -> list[str]:
    """``nmi_real >= 0.8: met by 4 of 6 finished trials, missed by trial 3 (0.712) and trial 5 (0.501)``, the nearest
    first, for each constraint; a confirmed trial by its mean."""
    return [_constraint_in_words(finished, name, bound) for name, bound in constraints.items()]


def _constraint_in_words(finished: Sequence[Finished], name: str, bound: Bound) -> str:
    short_of = [trial for trial in finished if missed(reached(trial), {name: bound})]
    short_of.sort(key=lambda trial: (missed(reached(trial), {name: bound})[name], trial.number))
    named = [f"trial {trial.number} ({_value(reached(trial), name)})" for trial in short_of[:_MOST_NAMED]]
    more = [f"{len(short_of) - _MOST_NAMED} more"] if len(short_of) > _MOST_NAMED else []
    by = f", missed by {_and([*named, *more])}" if named else ""
    return f"{name} {bound}: met by {len(finished) - len(short_of)} of {len(finished)} finished trials{by}"


def front_in_words(front: Iterable[Metrics], constraints: Constraints) -> str:
    """The title of a Pareto front, which says how it stands with the constraints where there are some."""
    if not constraints:
        return "Pareto front"
    met = not any(missed(metrics, constraints) for metrics in front)
    return f"Pareto front ({'of the trials that meet' if met else 'no trial meets'} all constraints)"


def _value(metrics: Metrics, name: str) -> str:
    return f"{metrics[name]:.3f}" if name in metrics else "unknown"


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def criterion(objectives: Mapping[str, str], by: str = KNEE) -> str:
    """What the best trial is chosen by; with a single objective the knee is the best value."""
    if by != KNEE:
        return by
    return _KNEE_IN_WORDS if len(objectives) > 1 else next(iter(objectives))


def chosen_in_words(
    finished: Sequence[Finished],
    chosen: Finished,
    objectives: Mapping[str, str],
    constraints: Constraints,
    by: str = KNEE,
) -> str:
    """``the best of 3 confirmed trials by the knee of the front …``, and how it stands with the constraints.

    Args:
        finished: all finished trials of the search.
        chosen: the best of them.
        objectives: those of the search.
        constraints: those of the search.
        by: what it was chosen by.
    """
    candidates = eligible(finished)
    kind = "confirmed" if chosen.confirmed else "finished"
    all_of = f"{len(candidates)} {kind} trials"
    if kind == "finished" and chosen.second:
        all_of += " that were trained on a second seed"
    if missing := missed_in_words(reached(chosen), constraints):
        if len(candidates) == 1:
            return f"the only {kind} trial, which does not meet the constraints ({missing})"
        return f"the nearest of {all_of} to the constraints, all of which none of them meets ({missing})"
    if len(candidates) == 1:
        return f"the only {kind} trial"
    if not constraints:
        return f"the best of {all_of} by {criterion(objectives, by)}"
    meeting = sum(not missed(reached(trial), constraints) for trial in candidates)
    if meeting == 1:
        return f"the only one of {all_of} that meets all constraints"
    of = f"{meeting} {kind} trials that meet all constraints, of {len(candidates)}"
    return f"the best of {of}, by {criterion(objectives, by)}"


def table_cell(text: str) -> str:
    """A text, such as the name of a class, in a cell of a Markdown table."""
    return text.replace("|", r"\|")


def short(value: Any) -> str:
    """A number in four digits at most, anything else as it is printed."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
