"""Complaints of pydantic as problems that a person can mend."""

import pytest
from pydantic import ValidationError

from eig_tune.data import DatasetConfig
from eig_tune.errors import Problem
from eig_tune.schema import Section, problems_of, suggestion
from eig_tune.training import TrainConfig, TrainSettings


def problems(section: type[Section], document: object) -> list[Problem]:
    with pytest.raises(ValidationError) as caught:
        section.model_validate(document)
    return problems_of(caught.value, {"": section})


def test_every_problem_is_reported_with_its_path_and_value() -> None:
    found = problems(TrainConfig, {"train": {"tau": -1, "steps": "many"}, "model": {"width": 2}, "seed": -3})
    assert {problem.where for problem in found} == {"train.tau", "train.steps", "model.width", "seed"}
    by_path = {problem.where: problem.what for problem in found}
    assert by_path["train.tau"] == "got -1; input should be greater than 0"
    assert "'many'" in by_path["train.steps"]


def test_unknown_key_is_reported_with_the_nearest_one() -> None:
    (problem,) = problems(TrainSettings, {"lamda_1": 1})
    assert str(problem) == "lamda_1: unknown key; did you mean 'lambda_1'?"


def test_missing_key_is_reported() -> None:
    (problem,) = problems(DatasetConfig, {})
    assert str(problem) == "name: missing; please add it"


def test_problem_of_the_whole_file_has_a_path_too() -> None:
    (problem,) = problems(DatasetConfig, {"name": "folder"})
    assert problem.where == "(the file)"
    assert "needs `root`" in problem.what


def test_long_value_is_cut() -> None:
    (problem,) = problems(TrainConfig, {"seed": "x" * 1000})
    assert len(problem.what) < 200


@pytest.mark.parametrize("imbalance", [{"splt": 0}, {"split": -1}, {"file": "table.npy", "row": -2}, 3])
def test_path_of_an_imbalance_is_what_the_person_wrote(imbalance: object) -> None:
    """One mistake is one problem, without the names of our classes in its path."""
    found = problems(DatasetConfig, {"name": "digits", "imbalance": imbalance})
    assert len(found) == 1, [str(problem) for problem in found]
    assert found[0].where.split(".")[0] == "imbalance"
    assert not any(word in found[0].where for word in ("Imbalance", "literal"))


def test_suggestion_is_the_nearest_name_or_all_of_them() -> None:
    assert suggestion("wdith", ["width", "depth"]) == "; did you mean 'width'?"
    assert suggestion("?", ["width", "depth"]) == "; known keys: width, depth"
    assert suggestion("?", []) == ""
