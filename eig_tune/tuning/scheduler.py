"""Asynchronous successive halving with one or more objectives.

Li et al., ASHA (arXiv 1810.05934); with several objectives a rung ranks its trials by non-dominated sorting
(after Schmucker et al., MO-ASHA, arXiv 2106.12639). Knows nothing of Ray: it is told results and answers
whether a trial may go on.
"""

import math
from collections.abc import Sequence

import numpy as np

from eig_tune.tuning import pareto

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
        brackets: how many; with 1 every trial is judged at every rung.
    """

    def __init__(self, rungs: Sequence[int], reduction_factor: int, brackets: int = 1) -> None:
        self._reduction_factor = reduction_factor
        self._rungs: dict[int, dict[int, tuple[float, ...]]] = {step: {} for step in rungs}
        self._ends_of_brackets = np.cumsum(bracket_shares(brackets, reduction_factor))[:-1]

    def record(self, trial: int, step: int, losses: tuple[float, ...]) -> int | None:
        """Note what ``trial`` has reached at ``step``; the rung it has entered, if any."""
        entered = [rung for rung, entries in self._rungs.items() if step >= rung and trial not in entries]
        for rung in entered:
            self._rungs[rung][trial] = losses
        return max(entered, default=None)

    def may_go_on(self, trial: int, rung: int) -> bool:
        """Whether ``trial`` is safe, or among the best 1 / ``reduction_factor`` that its rung has seen so far."""
        if list(self._rungs).index(rung) < self.bracket(trial):
            return True
        entries = self._rungs[rung]
        trials = list(entries)
        best_first = pareto.order(np.array([entries[t] for t in trials]))
        places = max(1, math.floor(len(trials) / self._reduction_factor))
        return trials.index(trial) in best_first[:places]

    def bracket(self, trial: int) -> int:
        """The trial's bracket: spread evenly over the numbers by a golden ratio sequence, so that a resume agrees."""
        return int(np.searchsorted(self._ends_of_brackets, (trial * _GOLDEN_RATIO) % 1.0, side="right"))
