"""Errors travel between processes and say everything at once."""

import pickle

import pytest

from eig_tune import errors
from eig_tune.errors import ConfigError, EigTuneError, Problem


def test_all_problems_stand_in_one_message() -> None:
    error = ConfigError("digits.yaml", [Problem("train.tau", "got -1"), Problem("trials", "missing")])
    assert str(error) == "digits.yaml: 2 problems\n  train.tau: got -1\n  trials: missing"
    assert str(ConfigError("x", [Problem("a", "b")])) == "x: 1 problem\n  a: b"


def test_config_error_survives_the_way_between_processes() -> None:
    error = ConfigError("digits.yaml", [Problem("train.tau", "got -1")])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.problems, again.source) == (str(error), error.problems, "digits.yaml")


@pytest.mark.parametrize("name", ["DataError", "CheckpointError", "ClusterError", "ResultError", "TrackingError"])
def test_every_error_of_a_person_is_one_family_with_exit_code_two(name: str) -> None:
    error = getattr(errors, name)("what is wrong")
    assert isinstance(error, EigTuneError)
    assert str(pickle.loads(pickle.dumps(error))) == "what is wrong"
    assert error.exit_code == 2
