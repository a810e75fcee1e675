"""Trials in slots without training any: what a plan is made by, and what samplers and schedulers are compared in."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eig_tune.hpo.engine import Engine
from eig_tune.hpo.objectives import Metrics
from eig_tune.hpo.trial import Action


class Reported(NamedTuple):
    """A trial has got to a step.

    Attributes:
        now: the time, in steps that one slot could have made since the beginning.
        spent: steps that all slots have made, as far as they are reported.
        trial: its number.
        step: that it has got to.
    """

    now: int
    spent: int
    trial: int
    step: int


def simulate_search(
    engine: Engine, measure: Callable[[int, int], Metrics], steps: Sequence[int], slots: int
) -> Iterator[Reported]:
    """Let an engine run its trials, all equally fast, until there are no more; yields every report, after the decision.

    Args:
        engine: proposes and decides.
        measure: what a trial (by its number) reports at a step.
        steps: at which a trial reports, rising.
        slots: trials at once.
    """

    def propose() -> int | None:
        trial = engine.propose()
        return None if trial is None else trial.number

    return simulate(propose, lambda trial, step: goes_on_after(engine, trial, step, measure(trial, step)), steps, slots)


def goes_on_after(engine: Engine, trial: int, step: int, metrics: Metrics) -> bool:
    """Report to an engine, and carry out what it decides; whether the trial goes on in its slot."""
    if engine.report(trial, step, metrics).decision.action is Action.CONTINUE:
        return True
    engine.checkpointed(trial, "", step)
    engine.carry_out(trial)
    return False


def simulate(
    propose: Callable[[], int | None], goes_on: Callable[[int, int], bool], steps: Sequence[int], slots: int
) -> Iterator[Reported]:
    """Run trials that are all equally fast until there are no more; yields every report, after the decision on it.

    Args:
        propose: the trial that gets a free slot, a new one or one that was paused; None when there is none now.
        goes_on: takes a report, which is (trial, step); must be False at the last step.
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
