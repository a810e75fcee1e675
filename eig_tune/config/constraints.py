"""The section ``constraints``: bounds that a trial must meet whatever its objectives are."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from eig_tune.errors import Problem
from eig_tune.evaluation.base import Metric
from eig_tune.evaluation.metrics import METRICS
from eig_tune.schema import shown, suggestion

_AT_LEAST, _AT_MOST = ">=", "<="
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_FORM = re.compile(rf"\s*([<>=!~≤≥]+)?\s*({_NUMBER}|[-+]?\.?inf|\.?nan)\s*", re.IGNORECASE)
_LIKE = "write a bound as text, such as '>= 0.8' or '<= 0.05'"


@dataclass(frozen=True)
class Bound:
    """What a metric must be at least (``>= 0.8``) or at most (``<= 0.05``).

    Attributes:
        at_least: whether it is a lower bound.
        value: the bound, which meets itself.
    """

    at_least: bool
    value: float

    @classmethod
    def parse(cls, text: Any) -> "Bound":
        """The bound that somebody wrote.

        Raises:
            ValueError: it is none; the message says what would be.
        """
        if isinstance(text, Bound):
            return text
        form = _FORM.fullmatch(text) if isinstance(text, str) else None
        if form is None:
            raise ValueError(f"got {shown(text)}; {_LIKE}")
        operator, number = form[1], form[2].lower()
        if operator not in (_AT_LEAST, _AT_MOST):
            raise ValueError(f"got {shown(text)}; the operator must be >= or <=: {_LIKE}")
        value = float(number.replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(value):
            raise ValueError(f"got {shown(text)}; must be a finite number")
        return cls(operator == _AT_LEAST, value)

    def excess(self, value: float) -> float:
        """By how much a metric's value misses the bound; 0 or less where it meets it, as Optuna has constraints."""
        return self.value - value if self.at_least else value - self.value

    def relative_excess(self, value: float) -> float:
        """The excess as a share of the bound, to be added to another metric's; itself if the bound is 0."""
        return self.excess(value) / (abs(self.value) or 1.0)

    def __str__(self) -> str:
        return f"{_AT_LEAST if self.at_least else _AT_MOST} {self.value:.12g}"


WrittenBound = Annotated[
    Bound, BeforeValidator(Bound.parse), PlainSerializer(str), WithJsonSchema({"type": "string"})
]  # fmt: skip
Constraints = Mapping[str, Bound]  # metric to bound
NO_CONSTRAINTS: Constraints = {}


def written(constraints: Constraints) -> dict[str, str]:
    """The constraints as a space has them, each bound as text."""
    return {name: str(bound) for name, bound in constraints.items()}


def in_words(constraints: Mapping[str, object]) -> str:
    """``nmi_real >= 0.8, prior_rmse <= 0.05``"""
    return ", ".join(f"{name} {bound}" for name, bound in constraints.items())


def pattern(metric: Metric) -> str:
    """The regular expression, for a JSON schema, of the bounds that ``metric`` may have."""
    operators = {"maximize": _AT_LEAST, "minimize": _AT_MOST}.get(str(metric.direction), f"({_AT_LEAST}|{_AT_MOST})")
    return rf"^\s*{operators}\s*{_NUMBER}\s*$"


def check_constraints(written: Any) -> tuple[dict[str, Bound], list[Problem]]:
    """The well-formed entries of ``constraints``, and what is wrong with the others.

    Args:
        written: the section as the document has it; one that is no mapping is reported elsewhere.
    """
    bounds: dict[str, Bound] = {}
    problems = []
    for name, text in written.items() if isinstance(written, Mapping) else ():
        try:
            bounds[name] = _bound_of(name, text)
        except ValueError as error:
            problems.append(Problem(f"constraints.{name}", str(error)))
    return bounds, problems


def _bound_of(name: str, text: Any) -> Bound:
    if name not in METRICS:
        raise ValueError(f"no such metric{suggestion(str(name), METRICS)}")
    metric, bound = METRICS[name], Bound.parse(text)
    low, high = metric.bounds
    if not low <= bound.value <= high:
        raise ValueError(f"got {shown(text)}; {name} lies between {low:g} and {high:g}")
    if metric.direction == ("minimize" if bound.at_least else "maximize"):
        right = Bound(not bound.at_least, bound.value)
        raise ValueError(f"got {shown(text)}; {name} is better when you {metric.direction} it: write '{right}'")
    if bound.value == (low if bound.at_least else high):
        raise ValueError(f"got {shown(text)}; every trial meets that: {name} lies between {low:g} and {high:g}")
    return bound
