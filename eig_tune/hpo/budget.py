"""How large a search may be that shall take a given time: the trials, their steps, the rungs, and the confirmation.

What more time is spent on, in this order: trials that are long enough to tell good from bad, sixteen of them, a
confirmation on several seeds, more trials, longer trials. The ladder below has that order; between two of its levels
trials and steps grow together.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

_SHORT, _WHOLE = (3, 1, 2), (8, 3, 3)  # finalists, confirmed trials, fresh seeds of each
#            trials, their length (1 is the usual one), confirmation
_LADDER: tuple[tuple[int, float, tuple[int, int, int]], ...] = (
    (8, 0.5, _SHORT), (12, 0.5, _SHORT), (16, 0.5, _SHORT), (16, 1, _SHORT), (16, 1, _WHOLE), (24, 1, _WHOLE),
    (32, 1, _WHOLE), (48, 1, _WHOLE), (64, 1, _WHOLE), (64, 2, _WHOLE), (96, 2, _WHOLE), (128, 2, _WHOLE),
    (128, 4, _WHOLE), (256, 4, _WHOLE), (512, 8, _WHOLE),
)  # fmt: skip
_BETWEEN = 4  # sizes from one level to the next
_SHORT_TRIALS = 4500  # steps: shorter ones are first compared at a third of them, longer ones at a ninth
_ROUND = 10  # steps


@dataclass(frozen=True)
class Budget:
    """A size of a search.

    Attributes:
        trials: how many.
        steps: full budget of a trial.
        report_every: steps between two evaluations.
        grace: the first rung.
        finalists: trials that are trained on a second seed.
        top: trials that are confirmed.
        seeds: fresh seeds of each of these.
    """

    trials: int
    steps: int
    report_every: int
    grace: int
    finalists: int
    top: int
    seeds: int


def budget_of(trials: int, steps: float, confirm: tuple[int, int, int] = _SHORT) -> Budget:
    """The budget of about so many steps whose rungs and reports are round numbers that divide each other."""
    reports, before_the_first_rung = (6, 2) if steps < _SHORT_TRIALS else (18, 2)
    every = max(_ROUND, round(steps / reports / _ROUND) * _ROUND)
    return Budget(trials, reports * every, every, before_the_first_rung * every, *confirm)


def budgets(usual_steps: int) -> Iterator[Budget]:
    """All sizes from the smallest to the largest.

    Args:
        usual_steps: of a trial that is as long as the images need.
    """
    for (trials, length, confirm), (more, longer, _) in pairwise(_LADDER):
        for part in range(_BETWEEN):
            share = part / _BETWEEN
            yield budget_of(
                round(trials + share * (more - trials)), usual_steps * (length + share * (longer - length)), confirm
            )
    trials, length, confirm = _LADDER[-1]
    yield budget_of(trials, usual_steps * length, confirm)


def largest_within(seconds: float, usual_steps: int, seconds_of: Callable[[Budget], float]) -> tuple[Budget, float]:
    """The largest budget that a search ends in so many seconds with, or the smallest one if none does.

    Args:
        seconds: that there are.
        usual_steps: as for :func:`budgets`.
        seconds_of: how long a search of a budget takes.

    Returns:
        The budget, and how long its search takes.
    """
    sizes, known = list(budgets(usual_steps)), dict[Budget, float]()

    def takes(budget: Budget) -> float:
        if budget not in known:
            known[budget] = seconds_of(budget)
        return known[budget]

    chosen = sizes[max(0, bisect_right(sizes, seconds, key=takes) - 1)]
    return chosen, takes(chosen)
