"""Trials in slots without training any: what a plan is made by, and what samplers and schedulers are compared in."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


class Reported(NamedTuple):
    """A trial has got to a step.

    Attributes:
        now: the time, in steps that one slot could have made since the beginning.
        spent: steps that all slots have made, as far as they are reported.
    """

    now: int
    spent: int
    trial: int
    step: int


def simulate(
    propose: Callable[[], int | None], goes_on: Callable[[int, int], bool], steps: Sequence[int], slots: int
) -> Iterator[Reported]:
    """Run trials that are all equally fast until there are no more; yields every report, once it is judged.

    Args:
        propose: the trial that gets a free slot, a new one or one that has been at rest; None when there is none now.
        goes_on: takes a report, which is (trial, step); must say no at the last step.
        steps: at which a trial reports, rising.
        slots: trials at once.
    """
    reports = Counter[int]()
    running: list[tuple[int, int]] = []  # when it reports, trial
    now = spent = 0

    def to_next(trial: int) -> int:
        """Steps to its next report."""
        return steps[reports[trial]] - (steps[reports[trial] - 1] if reports[trial] else 0)

    while True:
        while len(running) < slots and (trial := propose()) is not None:
            heapq.heappush(running, (now + to_next(trial), trial))
        if not running:
            return
        now, trial = heapq.heappop(running)
        spent += to_next(trial)
        step = steps[reports[trial]]
        reports[trial] += 1
        if goes_on(trial, step):
            heapq.heappush(running, (now + to_next(trial), trial))
        yield Reported(now, spent, trial, step)
