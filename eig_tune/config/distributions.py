"""Distributions of the ``search`` section, validated when they are made."""

import math
import warnings
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from eig_tune.schema import MOST, Section, shown
from eig_tune.training.config import ParamValue, coerce, kind_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_OFF_THE_GRID = 1e-8  # by how many steps a value of a quniform may differ from one on the grid, as Optuna has it
KINDS = ("uniform", "loguniform", "quniform", "randint", "choice")


def _plain(value: Any) -> ParamValue:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("must be a plain value, such as 0.1, true or nt_xent")
    return value


def _several(value: Any) -> Any:
    if isinstance(value, dict) or value in ([], ()):
        raise ValueError("must be a value, or a list of values")
    return value if isinstance(value, list | tuple) else (value,)


def _number(value: Any) -> int | float:
    try:
        number = float(value) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError("must be a finite number") from None
    return number


def _no_number_is_true(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number, not true or false")
    return value


Whole = Annotated[int, BeforeValidator(_no_number_is_true)]
Number = Annotated[int | float, PlainValidator(_number)]
Choices = Annotated[ParamValue, PlainValidator(_plain)]
Condition = Annotated[tuple[Choices, ...], BeforeValidator(_several)]


class Distribution(Section):
    """One searched parameter: exactly one kind of distribution, and optionally the condition under which it exists.

    A field that has whole numbers gets whole numbers from every kind.
    """

    uniform: tuple[Number, Number] | None = Field(
        default=None, description="`[low, high]`: every value in between is equally likely"
    )
    loguniform: tuple[Number, Number] | None = Field(
        default=None, description="`[low, high]`, `low` above 0: every logarithm in between is equally likely"
    )
    quniform: tuple[Number, Number, Number] | None = Field(
        default=None, description="`[low, high, step]`: `low`, `low` + `step` and so on up to `high`, equally likely"
    )
    randint: tuple[Whole, Whole] | None = Field(
        default=None, description="`[low, high]`: the whole numbers from `low` to `high`, both included, equally likely"
    )
    choice: tuple[Choices, ...] | None = Field(
        default=None, description="`[a, b, …]`: two or more values, equally likely"
    )
    when: dict[str, Condition] | None = Field(
        default=None,
        description="the parameter exists only in trials in which each field that is named here has the value, or one "
        "of the values, given for it: `{distance: nt_xent, method: [elastic-infogan, gumbel-softmax+trans]}`",
    )

    @model_validator(mode="after")
    def _well_formed(self) -> "Distribution":
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(KINDS)}")
        if self.choice is not None:
            _check_choices(self.choice)
        else:
            _check_range(given[0], self._numbers)
        return self

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def _numbers(self) -> tuple[int | float, ...]:
        """The ends, and the step of a quniform."""
        numbers = self.uniform or self.loguniform or self.quniform or self.randint
        assert numbers is not None, "a choice has none"
        return numbers

    def for_field(self, name: str) -> "Distribution":
        """The same with each value as the field ``name`` has it: whole numbers for a whole-number field, and so on.

        Raises:
            ValueError: the field cannot have such values; of pydantic's kind when one value is wrong.
        """
        if self.choice is not None:
            return self._with(tuple(coerce(name, value) for value in self.choice))
        kind = kind_of(name)
        if kind not in (int, float):
            what = "true or false: write `choice: [true, false]`" if kind is bool else "a word: write `choice: […]`"
            raise ValueError(f"{name} is {what}")
        low, high, *step = self._numbers
        ends = (coerce(name, low), coerce(name, high))
        if self.randint is not None:
            return self
        if kind is int and any(one != int(one) for one in step):
            raise ValueError(f"{name} is a whole number, so the step must be one, got {step[0]:g}")
        return self._with((*ends, *(kind(one) for one in step)))

    def _with(self, values: tuple[ParamValue, ...]) -> "Distribution":
        return Distribution.model_validate({self.kind: values, "when": self.when})

    def extremes(self) -> tuple[ParamValue, ...]:
        """The ends, or every choice."""
        return self.choice if self.choice is not None else self._numbers[:2]

    @property
    def whole(self) -> bool:
        """Whether it proposes whole numbers."""
        return all(isinstance(number, int) for number in self._numbers)

    def _on_grid(self, step: int) -> int | float:
        """Value number ``step`` of a quniform, counted from 0, in decimals as its ends are written."""
        low, _, width = (Decimal(str(number)) for number in self._numbers)
        return type(self._numbers[0])(low + step * width)

    @property
    def _last(self) -> int:
        """Number of the highest value of a quniform."""
        low, high, width = (Decimal(str(number)) for number in self._numbers)
        return int((high - low) // width)

    def for_optuna(self) -> "BaseDistribution":
        """The distribution as Optuna knows it; imports Optuna, which reading a space does not need."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choice is not None:
            return CategoricalDistribution(self.choice)
        low, high, *step = self._numbers
        if self.whole:
            high = self._on_grid(self._last) if step else high
            return IntDistribution(int(low), int(high), log=self.loguniform is not None, step=int(*step or (1,)))
        if not step:
            return FloatDistribution(low, high, log=self.loguniform is not None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it takes the highest value on the grid, and says so
            return FloatDistribution(low, math.nextafter(self._on_grid(self._last), math.inf), step=step[0])

    def inside(self, value: ParamValue) -> ParamValue | None:
        """The value as the distribution proposes it, or None when it never does; ``value`` as its field has it."""
        if self.choice is not None:
            return value if value in self.choice else None
        assert not isinstance(value, str)
        low, high, *step = self._numbers
        if not low <= value <= high or (self.whole and value != int(value)):
            return None
        nearest = self.nearest(value)
        assert not isinstance(nearest, str)
        return nearest if not step or abs(value - nearest) <= _OFF_THE_GRID * step[0] else None

    def nearest(self, value: ParamValue) -> ParamValue:
        """The possible value nearest to one that Optuna has drawn, whose own sums are a little off the grid."""
        if self.choice is not None or isinstance(value, str):
            return value
        if self.quniform is not None:
            low, _, width = self.quniform
            return self._on_grid(min(round((value - low) / width), self._last))
        return int(value) if self.whole else value

    def at(self, quantile: float) -> ParamValue:
        """The value below which the share ``quantile`` (0 to 1, 1 excluded) of the distribution lies."""
        if self.choice is not None:
            return self.choice[int(quantile * len(self.choice))]
        if self.quniform is not None:
            return self._on_grid(int(quantile * (self._last + 1)))
        low, high = self._numbers[:2]
        if not self.whole:
            return min(max(self._between(low, high, quantile), low), high)
        # As Optuna has it: a whole number is as likely as the stretch of half a unit on either side of it.
        return min(max(round(self._between(low - 0.5, high + 0.5, quantile)), int(low)), int(high))

    def _between(self, low: float, high: float, quantile: float) -> float:
        if self.loguniform is not None:
            return math.exp(math.log(low) + quantile * (math.log(high) - math.log(low)))
        return low + quantile * (high - low)

    def place(self, value: bool | int | float) -> float:
        """Where a value lies in a range: 0 at the lower end, 1 at the upper one; beyond them outside of it."""
        low, high = self._numbers[:2]
        if self.loguniform is not None:
            return math.log(value / low) / math.log(high / low) if value > 0 else -math.inf
        return float((value - low) / (high - low))

    def __str__(self) -> str:
        values = list(self.choice if self.choice is not None else self._numbers)
        conditions = [f"{name} is {either(values)}" for name, values in (self.when or {}).items()]
        return " ".join([f"{self.kind} {values}", *(["when", " and ".join(conditions)] if conditions else [])])


def either(values: Iterable[ParamValue]) -> str:
    """``'l2' or 'js'``."""
    return " or ".join(shown(value) for value in values)


def _check_choices(choices: tuple[ParamValue, ...]) -> None:
    if len(choices) == 1:
        raise ValueError(f"choice has the one value {shown(choices[0])}; set it outside of `search`, or give more")
    if not choices:
        raise ValueError("choice needs two or more values")
    for index, value in enumerate(choices):
        if value in choices[:index]:
            raise ValueError(f"choice has {shown(value)} twice; keep one of them")


def _check_range(kind: str, numbers: tuple[float, ...]) -> None:
    low, high = numbers[:2]
    if low == high:
        raise ValueError(f"{kind} has the one value {low:g}; set it outside of `search`, or give a wider range")
    if low > high:
        raise ValueError(f"{kind} needs low < high, got [{low:g}, {high:g}]; did you mean [{high:g}, {low:g}]?")
    if kind == "loguniform" and low <= 0:
        raise ValueError(f"loguniform needs a low end above 0, got {low:g}")
    if kind == "quniform" and not 0 < numbers[2] <= high - low:
        raise ValueError(f"quniform needs a step in (0, {high - low:g}], got {numbers[2]:g}")
    if kind == "quniform" and (high - low) / numbers[2] > MOST:
        raise ValueError(f"quniform has more than {MOST:,} values; write uniform: [{low:g}, {high:g}]")
