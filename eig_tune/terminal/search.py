"""What a search has come to: the front, the best, and what is left to do."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from eig_tune.config.space import SearchSpec
from eig_tune.hpo.objectives import losses_of
from eig_tune.hpo.trial import Trial
from eig_tune.reports.disagreement import disagreement_of
from eig_tune.reports.outcomes import SearchOutcome
from eig_tune.reports.phrases import (
    chosen_in_words,
    confirmation_in_words,
    constraints_in_words,
    count_outcomes,
    front_in_words,
    second_seeds_in_words,
    selection_bias_in_words,
    short,
)
from eig_tune.reports.range_ends import range_ends_in_words
from eig_tune.terminal.parts import print_disk_use, print_tracking_errors, print_warning


def print_search(
    outcome: SearchOutcome, spec: SearchSpec, results: Console, messages: Console, hints: Sequence[str] = ()
) -> None:
    """How the search ended and its Pareto front as results; what is left to do and what it takes as messages.

    Args:
        hints: what to look at, and how to take the best model home.
    """
    ended = count_outcomes(outcome.trials) or "no trial"
    results.print(f"{outcome.name}: {ended} in {outcome.wall_seconds:.0f} s", soft_wrap=True)
    if outcome.front:
        results.print(_front_table(outcome.front, spec))
        for line in constraints_in_words(outcome.finished, spec.constraints):
            results.print(line, soft_wrap=True)
        _print_confirmed(outcome, spec, results)
        if outcome.best is not None:
            best = next(trial for trial in outcome.finished if trial.number == outcome.best.number)
            why = chosen_in_words(outcome.finished, best, spec.objectives, spec.constraints)
            results.print(f"trial {outcome.best.number} is {why}", soft_wrap=True)
            print_warning(disagreement_of(best, spec.objectives, spec.constraints), results)
        for line in range_ends_in_words(spec.search, [(trial.number, trial.params) for trial in outcome.front]):
            results.print(line, soft_wrap=True)
    for line in hints if outcome.trials else ():
        messages.print(line, soft_wrap=True)
    _print_what_is_left(outcome, spec.trials, messages)
    print_disk_use(outcome.disk, messages)
    print_tracking_errors(outcome.tracking_errors, messages)


def _print_what_is_left(outcome: SearchOutcome, num_trials: int, console: Console) -> None:
    why = f"{outcome.stopped}: " if outcome.stopped else ""
    ended, expected = sum(trial.ended for trial in outcome.trials), max(num_trials, len(outcome.trials))
    if ended < expected:
        console.print(f"{why}{ended} of {expected} trials have ended; go on with --resume", soft_wrap=True)
    elif why:
        console.print(f"{why}not all of the best have been confirmed; go on with --resume", soft_wrap=True)


def _print_confirmed(outcome: SearchOutcome, spec: SearchSpec, console: Console) -> None:
    """What the best reach on other seeds, and how much of what was found was luck."""
    confirmed = [trial for trial in outcome.finished if trial.confirmation is not None]
    lines = [
        second_seeds_in_words(dict.fromkeys([*spec.objectives, *spec.constraints]), outcome.finished),
        *(confirmation_in_words(spec, trial) for trial in confirmed),
        selection_bias_in_words(spec.objectives, outcome.finished),
    ]
    for line in filter(None, lines):
        console.print(line, soft_wrap=True)


def _front_table(front: Sequence[Trial], spec: SearchSpec) -> Table:
    reached = [(trial, trial.last.metrics) for trial in front if trial.last is not None]
    title = front_in_words([metrics for _, metrics in reached], spec.constraints)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    judged = list(dict.fromkeys([*spec.objectives, *spec.constraints]))
    for column in ("trial", *judged, *spec.search):
        table.add_column(column, justify="right")
    for trial, metrics in sorted(reached, key=lambda pair: losses_of(pair[1], spec.objectives)):
        values = [short(trial.params.get(name, "–")) for name in spec.search]
        table.add_row(str(trial.number), *(f"{metrics[name]:.3f}" for name in judged), *values)
    return table
