"""Params of the front that lie at an end of their range are told, with the end to widen."""

from typing import Any

import pytest

from eig_tune.config.distributions import Distribution
from eig_tune.reports.range_ends import range_ends_in_words


def told(name: str, entry: dict[str, Any], *values: Any) -> list[str]:
    space = {name: Distribution.model_validate(entry).for_field(name)}
    return range_ends_in_words(space, list(enumerate({name: value} for value in values)))


@pytest.mark.parametrize(
    ("entry", "value", "end"),
    [
        ({"loguniform": [3, 30]}, 30, "upper end of its range, 30"),
        ({"loguniform": [3, 30]}, 28.8, "upper end of its range, 30"),
        ({"loguniform": [3, 30]}, 28.5, None),  # 97.8 % of the logarithm's range
        ({"loguniform": [3, 30]}, 3.1, "lower end of its range, 3"),
        ({"loguniform": [3, 30]}, 3.2, None),
        ({"uniform": [0, 10]}, 9.81, "upper end of its range, 10"),
        ({"uniform": [0, 10]}, 9.79, None),
        ({"uniform": [0, 10]}, 0.0, None),  # a weight is 0 or more
        ({"uniform": [0.5, 10]}, 0.5, "lower end of its range, 0.5"),
        ({"uniform": [20, 22]}, 20.01, "lower end of its range, 20"),
        ({"choice": [1, 2, 30]}, 30, None),
        ({"quniform": [1, 101, 1]}, 101.0, "upper end of its range, 101"),
    ],
)
def test_value_within_two_percent_of_an_end_is_told(entry: dict[str, Any], value: float, end: str | None) -> None:
    lines = told("lambda_2", entry, value)
    assert lines == ([] if end is None else [f"lambda_2 of trial 0 is at the {end}: widen it and go on with --resume"])


def test_whole_numbers_count_where_there_are_many() -> None:
    assert told("categories", {"randint": [10, 14]}, 14) == []
    assert told("categories", {"randint": [10, 40]}, 40, 20) == [
        "categories of trial 0 is at the upper end of its range, 40: widen it and go on with --resume"
    ]
    assert told("categories", {"randint": [2, 40]}, 2) == [], "there are two or more categories"


def test_trials_at_one_end_are_one_line() -> None:
    lines = told("tau", {"loguniform": [0.05, 0.5]}, 0.5, 0.1, 0.499, 0.05)
    assert lines == [
        "tau of trials 0, 2 is at the upper end of its range, 0.5: widen it and go on with --resume",
        "tau of trial 3 is at the lower end of its range, 0.05: widen it and go on with --resume",
    ]


def test_param_that_a_trial_does_not_have_is_passed_over() -> None:
    space = {"tau": Distribution(loguniform=(0.05, 0.5))}
    assert range_ends_in_words(space, [(0, {}), (1, {"lambda_1": 3.0})]) == []
