"""Asynchronous successive halving (ASHA), with one or more objectives.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (arXiv 1810.05934), Algorithm 2, by promotion as
published: a trial that reaches a rung is paused there until it is among the best 1 / η of all trials that have reached
it, and its slot goes to another one meanwhile. With several objectives a rung orders its trials by non-dominated
sorting (Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving", arXiv 2106.12639). Brackets are those
of Hyperband (Li et al. 2018, JMLR 18).

Constraints do not count here: a bound holds for a trial's end, and in replays ranking by it at rungs gained nothing and
let fewer trials get there (`benchmarks/replay_constraints.py`).

What differs from the paper: a trial that would be promoted next is not paused at all; and a trial below which no place
will ever be free is reported as unpromotable, so that its checkpoint can be deleted.
"""

import math
from collections.abc import Sequence

import numpy as np

from eig_tune.hpo.rung import Rung

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def bracket_shares(brackets: int, reduction_factor: int) -> list[float]:
    """Share of the trials in each bracket, the first the largest, so that all cost about the same (Hyperband)."""
    weights = [float(reduction_factor) ** -bracket for bracket in range(brackets)]
    return [weight / sum(weights) for weight in weights]


class SuccessiveHalving:
    """The rungs of one search.

    Trials of bracket b are never paused at the first b rungs, which slow starters need. Their results are compared
    there all the same: each trial that passes a rung shows what can be reached at it.

    Args:
        rungs: steps at which trials are compared, rising.
        reduction_factor: η; the best 1 / η of a rung are promoted.
        num_trials: how many trials there will be.
        brackets: how many; with 1 every trial may be paused at every rung.
    """

    def __init__(self, rungs: Sequence[int], reduction_factor: int, num_trials: int, brackets: int = 1) -> None:
        self._reduction_factor = reduction_factor
        self._brackets = brackets
        # In a small search all that are promoted may fail, so a few more are kept.
        self._most_places = max(reduction_factor, num_trials // reduction_factor)
        self._rungs = {step: Rung() for step in rungs}
        self._ends_of_brackets = np.cumsum(bracket_shares(brackets, reduction_factor))[:-1]

    def enter(self, trial: int, step: int, losses: tuple[float, ...]) -> int | None:
        """Note what ``trial`` has reached at ``step``; the highest rung that it has entered by this, if any."""
        entered = [step_of for step_of, rung in self._rungs.items() if step >= step_of and trial not in rung]
        for step_of in entered:
            self._rungs[step_of].enter(trial, losses)
        return max(entered, default=None)

    def is_promotable(self, trial: int, rung: int) -> bool:
        """Whether ``trial``, which has just entered ``rung``, need not be paused: its bracket is not compared there, or
        it would be the next to be promoted."""
        if list(self._rungs).index(rung) < self.bracket(trial):
            return True
        self._rungs[rung].pause(trial)
        is_next = self._next_to_promote() == trial
        self._rungs[rung].remove(trial)
        return is_next

    def pause(self, trial: int) -> None:
        """``trial`` waits at the highest rung that it has entered."""
        next(rung for rung in reversed(self._rungs.values()) if trial in rung).pause(trial)

    def remove(self, trial: int) -> None:
        """``trial`` is paused no more; its results still count."""
        for rung in self._rungs.values():
            rung.remove(trial)

    def promote(self, force: bool = False) -> int | None:
        """The next trial to be promoted, which is paused no more: among the best of the highest rung that has one.

        Args:
            force: if there is none, the best paused trial of the highest rung that has any.
        """
        trial = self._next_to_promote()
        if trial is None and force:
            trial = self._best_paused()
        if trial is not None:
            self.remove(trial)
        return trial

    def unpromotable(self) -> dict[int, str]:
        """Paused trials that will never be promoted, since more are better than will be promoted from their rung; each
        with its place as the reason."""
        return {
            trial: self._reason_against(step, trial, place)
            for step, rung in self._with_paused()
            for place, trial in rung.paused_below(max(self._most_places, self._places(rung)))
        }

    def still_paused(self) -> dict[int, str]:
        """All paused trials, each with its place as the reason, for the end of the search."""
        return {
            trial: f"waited at rung {step} when the search ended, {_ordinal(place)} of {len(rung)}"
            for step, rung in self._with_paused()
            for place, trial in rung.paused_below(0)
        }

    def bracket(self, trial: int) -> int:
        """The trial's bracket, from its number alone, so that a resume agrees. The fractional parts of the multiples of
        the golden ratio are a low-discrepancy sequence: at any time the shares are nearly right."""
        return int(np.searchsorted(self._ends_of_brackets, (trial * _GOLDEN_RATIO) % 1.0, side="right"))

    def _next_to_promote(self) -> int | None:
        for _, rung in self._with_paused():
            best = rung.best_paused()
            if rung.place(best) <= self._places(rung):
                return best
        return None

    def _best_paused(self) -> int | None:
        return next((rung.best_paused() for _, rung in self._with_paused()), None)

    def _with_paused(self) -> list[tuple[int, Rung]]:
        """Step and rung, the highest first."""
        return [(step, rung) for step, rung in reversed(self._rungs.items()) if rung.has_paused]

    def _places(self, rung: Rung) -> int:
        """How many trials may be promoted from a rung now."""
        return len(rung) // self._reduction_factor

    def _reason_against(self, step: int, trial: int, place: int) -> str:
        """``rung 500: 4th of 9, 3 may go on``, and what a reader of this could not know."""
        rung = self._rungs[step]
        some_pass = list(self._rungs).index(step) < self._brackets - 1
        others = ", and those of later brackets" if some_pass else ""
        equal = rung.place_of_first_equal(trial)
        tie = f" (the {_ordinal(equal)} is as good and came first)" if equal < place else ""
        may_go_on = f"{self._places(rung)} may go on{others}"
        return f"rung {step}: {_ordinal(place)} of {len(rung)}, {may_go_on}{tie}"


def _ordinal(place: int) -> str:
    """``1st``, ``2nd``, …, ``11th``, …, ``21st``."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
