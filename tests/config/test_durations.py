"""Lengths of time as people write them."""

import pytest

from eig_tune.config.durations import parse_duration
from eig_tune.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400), ("1d 2h", 93_600)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text, "--time-budget") == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-1h", "2 weeks", "0s", "1h30"])
def test_others_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="write 2h, 90m, 1h30m or 45s"):
        parse_duration(text, "--time-budget")
