"""The section ``asha``: its settings, the rungs that follow from them, and whether they fit the budget of a trial."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from eig_tune.errors import Problem
from eig_tune.schema import MOST, Section
from eig_tune.training import TrainSettings


class AshaSettings(Section):
    """Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934): when trials are compared and stopped."""

    grace: int = Field(
        default=1000, ge=1, le=MOST, description="first rung, in optimisation steps; a multiple of train.report_every"
    )
    reduction_factor: int = Field(
        default=3,
        ge=2,
        le=MOST,
        description="one trial in so many goes on to the next rung, which has so many times the steps",
    )
    brackets: int = Field(
        default=1, ge=1, le=MOST, description="number of brackets; each begins one rung later than the one before"
    )


def rungs(grace: int, reduction_factor: int, steps: int) -> list[int]:
    """Steps of the rungs: the grace, then the factor times the one before, as long as the budget lies a factor above.

    A rung at 90 % of the budget would save next to nothing, and leave a third of the points of a front.
    """
    levels: list[int] = []
    level = grace
    while level < steps and (not levels or level * reduction_factor <= steps):
        levels.append(level)
        level *= reduction_factor
    return levels


def check_budget(document: Mapping[str, Any], searching: bool) -> list[Problem]:
    """What does not fit together of the budget, the reports and the rungs.

    Args:
        document: the whole space; a value that is wrong by itself is reported elsewhere.
        searching: whether trials are stopped at rungs; if not, ``asha`` changes nothing.
    """
    steps = _number(document, "train", "steps", TrainSettings().steps)
    every = _number(document, "train", "report_every", TrainSettings().report_every)
    grace = _number(document, "asha", "grace", AshaSettings().grace)
    rate = _number(document, "asha", "reduction_factor", AshaSettings().reduction_factor)
    if steps is None or every is None or grace is None or rate is None or rate < 2:
        return []
    problems = []
    if every > steps:
        problems.append(Problem("train.report_every", f"got {every}; must be at most train.steps, {steps}"))
    if not searching:
        return problems
    if grace > steps:
        problems.append(Problem("asha.grace", f"got {grace}; the first rung must be at most train.steps, {steps}"))
    elif grace % every and every <= steps:
        remedy = max(every, round(grace / every) * every)
        problems.append(
            Problem("asha.grace", f"got {grace}; must be a multiple of train.report_every, {every}: try {remedy}")
        )
    else:
        problems += _check_brackets(document, rungs(grace, rate, steps))
    return problems


def _check_brackets(document: Mapping[str, Any], levels: Sequence[int]) -> list[Problem]:
    brackets = _number(document, "asha", "brackets", 1)
    if brackets is None or brackets <= len(levels) + 1:
        return []
    return [
        Problem("asha.brackets", f"got {brackets}; with the rungs {list(levels)} there are at most {len(levels) + 1}")
    ]


def _number(document: Mapping[str, Any], section: str, key: str, default: int) -> int | None:
    """The value at ``section.key`` when it is a whole number above 0, else None: it is reported elsewhere."""
    fields = document.get(section, {})
    value = fields.get(key, default) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == int(value) and value > 0 else None
