"""Distributions of the ``search`` section, validated when they are made, and how Optuna draws from them."""

from typing import Any

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import model_validator

from eig_tune.schema import Section

Value = bool | int | float | str

KINDS = ("uniform", "loguniform", "quniform", "randint", "choice")


class Distribution(Section):
    """One searched parameter: exactly one kind, and optionally the condition under which it exists.

    ``uniform`` and ``loguniform`` take [low, high], ``quniform`` [low, high, step], ``randint`` [low, high]
    with both ends included, ``choice`` a list of values. ``when`` names other parameters and the value that
    each must have, for example ``when: {distance: nt_xent}``.
    """

    uniform: tuple[float, float] | None = None
    loguniform: tuple[float, float] | None = None
    quniform: tuple[float, float, float] | None = None
    randint: tuple[int, int] | None = None
    choice: tuple[Value, ...] | None = None
    when: dict[str, Value] | None = None

    @model_validator(mode="after")
    def _well_formed(self) -> "Distribution":
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(KINDS)}")
        if self.choice is not None:
            _check_choices(self.choice)
        else:
            _check_range(given[0], getattr(self, given[0]))
        return self

    def extremes(self) -> tuple[Value, ...]:
        """Values that must all be valid for the range to be: the bounds, or every choice."""
        if self.choice is not None:
            return self.choice
        bounds = self.uniform or self.loguniform or self.quniform or self.randint
        assert bounds is not None
        return bounds[:2]

    def for_optuna(self) -> BaseDistribution:
        """The distribution as Optuna knows it."""
        if self.uniform is not None:
            return FloatDistribution(*self.uniform)
        if self.loguniform is not None:
            return FloatDistribution(*self.loguniform, log=True)
        if self.quniform is not None:
            low, high, step = self.quniform
            return FloatDistribution(low, high, step=step)
        if self.randint is not None:
            return IntDistribution(*self.randint)
        assert self.choice is not None
        return CategoricalDistribution(self.choice)

    def at(self, quantile: float) -> Value:
        """The value below which the share ``quantile`` (0 to 1, 1 excluded) of the distribution lies."""
        if self.choice is not None:
            return self.choice[int(quantile * len(self.choice))]
        if self.randint is not None:
            low, high = self.randint
            return low + int(quantile * (high - low + 1))
        if self.quniform is not None:
            lowest, highest, step = self.quniform
            return lowest + step * int(quantile * (int((highest - lowest) / step + 1e-9) + 1))
        if self.loguniform is not None:
            bottom, top = self.loguniform
            return float(bottom * (top / bottom) ** quantile)
        assert self.uniform is not None
        return self.uniform[0] + quantile * (self.uniform[1] - self.uniform[0])

    def __str__(self) -> str:
        kind = next(kind for kind in KINDS if getattr(self, kind) is not None)
        condition = f" when {self.when}" if self.when else ""
        return f"{kind} {list(getattr(self, kind))}{condition}"


def _check_choices(choices: tuple[Value, ...]) -> None:
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise ValueError("choice needs two or more different values")


def _check_range(kind: str, bounds: tuple[float, ...]) -> None:
    low, high = bounds[:2]
    if low >= high:
        raise ValueError(f"{kind} needs low < high, got [{low:g}, {high:g}]; did you mean [{high:g}, {low:g}]?")
    if kind == "loguniform" and low <= 0:
        raise ValueError(f"loguniform needs a low end above 0, got {low:g}")
    if kind == "quniform" and not 0 < bounds[2] <= high - low:
        raise ValueError(f"quniform needs a step in (0, {high - low:g}], got {bounds[2]:g}")


def draw(trial: Trial, space: dict[str, Distribution], fixed: dict[str, Any]) -> dict[str, Value]:
    """Values for every parameter of ``space`` whose condition holds; ``fixed`` has the unsearched fields."""
    values: dict[str, Value] = {}
    for name in in_order_of_conditions(space):
        if exists(space[name], {**fixed, **values}):
            values[name] = trial._suggest(name, space[name].for_optuna())
    return values


def exists(distribution: Distribution, known: dict[str, Any]) -> bool:
    """Whether the distribution's condition holds for the values known so far."""
    return all(known.get(name) == value for name, value in (distribution.when or {}).items())


def in_order_of_conditions(space: dict[str, Distribution]) -> list[str]:
    """Names such that every parameter comes after those that its condition names.

    Raises:
        ValueError: conditions go round in a circle.
    """
    ordered: list[str] = []
    waiting = list(space)
    while waiting:
        ready = [name for name in waiting if not (set(space[name].when or {}) & set(waiting))]
        if not ready:
            raise ValueError(f"the `when` conditions of {', '.join(waiting)} go round in a circle")
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered
