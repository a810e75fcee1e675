"""Params of a front's trials that lie at an end of their range, beyond which better ones may be."""

from collections.abc import Iterable, Mapping

from eig_tune.config.distributions import Distribution
from eig_tune.training.config import ParamValue, coerce

_NEAR = 0.02  # of the range, or of its logarithm
_STEP = 0.01  # of the range, by which its end could be moved
_FEWEST = 10  # whole numbers in a range: in a smaller one many trials are at an end by chance


def range_ends_in_words(
    space: Mapping[str, Distribution], front: Iterable[tuple[int, Mapping[str, ParamValue]]]
) -> list[str]:
    """``lambda_2 of trial 7 is at the upper end of its range, 30: …``, a line for each end that a trial is at.

    An end that the field itself has, such as 0 for a weight, is no end that could be moved.

    Args:
        space: the searched params.
        front: number and params of each trial.
    """
    at: dict[tuple[str, bool], list[int]] = {}
    for number, params in front:
        for name, distribution in space.items():
            upper = None if name not in params else _end_of(distribution, params[name])
            if upper is not None and _can_be_moved(name, distribution, upper):
                at.setdefault((name, upper), []).append(number)
    return [_line(name, upper, space[name], numbers) for (name, upper), numbers in at.items()]


def _end_of(distribution: Distribution, value: ParamValue) -> bool | None:
    """Whether it is the upper end that the value is at, or the lower one; None where it is at neither."""
    if distribution.choice is not None or isinstance(value, str):
        return None
    low, high = (float(end) for end in distribution.extremes())
    if distribution.whole and high - low < _FEWEST:
        return None
    place = distribution.place(value)
    if place >= 1 - _NEAR:
        return True
    return False if place <= _NEAR else None


def _can_be_moved(name: str, distribution: Distribution, upper: bool) -> bool:
    low, high = (float(end) for end in distribution.extremes())
    step = 1.0 if distribution.whole else _STEP * (high - low if distribution.loguniform is None or upper else low)
    further = high + step if upper else low - step
    try:
        coerce(name, int(further) if distribution.whole else further)
    except ValueError:
        return False
    return True


def _line(name: str, upper: bool, distribution: Distribution, numbers: list[int]) -> str:
    low, high = distribution.extremes()[0], distribution.extremes()[-1]
    trials = f"trial {numbers[0]} is" if len(numbers) == 1 else f"trials {', '.join(map(str, numbers))} is"
    end = f"{'upper' if upper else 'lower'} end of its range, {high if upper else low:g}"
    return f"{name} of {trials} at the {end}: widen it and go on with --resume"
