"""Asynchronous successive halving with one or more objectives.

Li et al., ASHA (arXiv 1810.05934); with several objectives a rung ranks its trials by non-dominated sorting
(after Schmucker et al., MO-ASHA, arXiv 2106.12639). Knows nothing of Ray: it is told results and answers
whether a trial may go on.
"""

import math
from collections.abc import Sequence

import numpy as np

from eig_tune.tuning import pareto


class SuccessiveHalving:
    """The rungs of one search.

    Args:
        rungs: steps at which trials are compared, rising.
        reduction_factor: the best 1 / ``reduction_factor`` of a rung may go on.
    """

    def __init__(self, rungs: Sequence[int], reduction_factor: int) -> None:
        self._reduction_factor = reduction_factor
        self._rungs: dict[int, dict[int, tuple[float, ...]]] = {step: {} for step in rungs}

    def record(self, trial: int, step: int, losses: tuple[float, ...]) -> int | None:
        """Note what ``trial`` has reached at ``step``; the rung it has entered, if any."""
        entered = [rung for rung, entries in self._rungs.items() if step >= rung and trial not in entries]
        for rung in entered:
            self._rungs[rung][trial] = losses
        return max(entered, default=None)

    def may_go_on(self, trial: int, rung: int) -> bool:
        """Whether ``trial`` is among the best 1 / ``reduction_factor`` that its rung has seen so far."""
        entries = self._rungs[rung]
        trials = list(entries)
        best_first = pareto.order(np.array([entries[t] for t in trials]))
        places = max(1, math.floor(len(trials) / self._reduction_factor))
        return trials.index(trial) in best_first[:places]
