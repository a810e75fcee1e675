"""Asynchronous successive halving with one or more objectives.

Li et al., ASHA (arXiv 1810.05934), by promotion as published: a trial waits at its rung until it is among the best
of it, and its slot goes to another one meanwhile. With several objectives a rung ranks its trials by non-dominated
sorting (after Schmucker et al., MO-ASHA, arXiv 2106.12639). Knows nothing of Ray: it is told results and answers
which trial goes on.
"""

import math
from collections.abc import Sequence

import numpy as np

from eig_tune.hpo import pareto

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def bracket_shares(brackets: int, reduction_factor: int) -> list[float]:
    """Share of the trials in each bracket, the first the largest, so that all cost about the same (Hyperband)."""
    weights = [float(reduction_factor) ** -bracket for bracket in range(brackets)]
    return [weight / sum(weights) for weight in weights]


class SuccessiveHalving:
    """The rungs of one search.

    Trials of bracket b are safe at the first b rungs, as slow starters need. Their results are compared there all
    the same: every trial that passes a rung tells what can be reached at it.

    Args:
        rungs: steps at which trials are compared, rising.
        reduction_factor: the best 1 / ``reduction_factor`` of a rung may go on.
        wanted: how many trials there will be.
        brackets: how many; with 1 every trial is judged at every rung.
    """

    def __init__(self, rungs: Sequence[int], reduction_factor: int, num_trials: int, brackets: int = 1) -> None:
        self._reduction_factor = reduction_factor
        self._brackets = brackets
        # Some are kept in reserve in a small search, where all that go on may fail.
        self._most_places = max(reduction_factor, num_trials // reduction_factor)
        self._rungs: dict[int, dict[int, tuple[float, ...]]] = {step: {} for step in rungs}
        self._orders: dict[int, list[int]] = {}
        self._waiting: dict[int, set[int]] = {step: set() for step in rungs}
        self._ends_of_brackets = np.cumsum(bracket_shares(brackets, reduction_factor))[:-1]

    def enter(self, trial: int, step: int, losses: tuple[float, ...]) -> int | None:
        """Note what ``trial`` has reached at ``step``; the rung it has entered, if any."""
        entered = [rung for rung, entries in self._rungs.items() if step >= rung and trial not in entries]
        for rung in entered:
            self._rungs[rung][trial] = losses
            self._orders.pop(rung, None)
        return max(entered, default=None)

    def goes_on(self, trial: int, rung: int) -> bool:
        """Whether ``trial``, which has just entered ``rung``, need not wait: it is safe there, or would be the next
        to be promoted."""
        if list(self._rungs).index(rung) < self.bracket(trial):
            return True
        self._waiting[rung].add(trial)
        is_next = self._next() == trial
        self._waiting[rung].discard(trial)
        return is_next

    def unpromotable(self) -> dict[int, str]:
        """Trials that wait in vain, since more are better than will ever be promoted from their rung: each with its
        place."""
        return {
            trial: self._beaten(rung, place)
            for rung in self._rungs_with_waiting()
            for places in [max(self._most_places, self._places(rung))]
            for place, trial in enumerate(self._best_first(rung)[places:], start=places + 1)
            if trial in self._waiting[rung]
        }

    def waiting(self) -> dict[int, str]:
        """All trials that wait, each with what is told of it if the search ends now."""
        return {
            trial: f"waited at rung {rung} when the search ended, {_ordinal(place)} of {len(self._rungs[rung])}"
            for rung in self._rungs_with_waiting()
            for place, trial in enumerate(self._best_first(rung), start=1)
            if trial in self._waiting[rung]
        }

    def wait(self, trial: int) -> None:
        """``trial`` rests at the highest rung it has entered."""
        self._waiting[max(rung for rung, entries in self._rungs.items() if trial in entries)].add(trial)

    def leave(self, trial: int) -> None:
        """``trial`` waits no more."""
        for waiting in self._waiting.values():
            waiting.discard(trial)

    def promote(self, force: bool = False) -> int | None:
        """A trial that has waited and goes on, from the highest rung that has one among its best.

        Args:
            anyway: if there is none, the best of the highest rung at which any trial waits.
        """
        trial = self._next()
        if trial is None and force:
            trial = self._best_waiting()
        if trial is not None:
            self.leave(trial)
        return trial

    def bracket(self, trial: int) -> int:
        """The trial's bracket: spread evenly over the numbers by a golden ratio sequence, so that a resume agrees."""
        return int(np.searchsorted(self._ends_of_brackets, (trial * _GOLDEN_RATIO) % 1.0, side="right"))

    def _next(self) -> int | None:
        for rung in self._rungs_with_waiting():
            for trial in self._best_first(rung)[: self._places(rung)]:
                if trial in self._waiting[rung]:
                    return trial
        return None

    def _beaten(self, rung: int, place: int) -> str:
        """``rung 500: 4th of 9, 3 may go on``, and what a reader of this could not know."""
        best_first, losses = self._best_first(rung), self._rungs[rung]
        some_are_safe = list(self._rungs).index(rung) < self._brackets - 1
        others = ", and those of later brackets" if some_are_safe else ""
        equal = [losses[trial] for trial in best_first].index(losses[best_first[place - 1]]) + 1
        tie = f" (the {_ordinal(equal)} is as good and came first)" if equal < place else ""
        may_go_on = f"{self._places(rung)} may go on{others}"
        return f"rung {rung}: {_ordinal(place)} of {len(best_first)}, {may_go_on}{tie}"

    def _places(self, rung: int) -> int:
        return len(self._rungs[rung]) // self._reduction_factor

    def _best_waiting(self) -> int | None:
        for rung in self._rungs_with_waiting():
            return next(trial for trial in self._best_first(rung) if trial in self._waiting[rung])
        return None

    def _rungs_with_waiting(self) -> list[int]:
        return [rung for rung in reversed(self._rungs) if self._waiting[rung]]

    def _best_first(self, rung: int) -> list[int]:
        if rung not in self._orders:
            trials, losses = list(self._rungs[rung]), list(self._rungs[rung].values())
            self._orders[rung] = [trials[index] for index in pareto.order(np.array(losses)).tolist()]
        return self._orders[rung]


def _ordinal(place: int) -> str:
    """``1st``, ``2nd``, …, ``11th``, …, ``21st``."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
