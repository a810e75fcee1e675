"""The YAML of a search: every shipped file loads, every mistake is told at once."""

from pathlib import Path

import pytest

from eig_tune.errors import ConfigError
from eig_tune.tuning.space import load_spec, parse_spec

SPACES = sorted(Path(__file__).parents[2].glob("search_spaces/*.yaml"))
GOOD = {
    "dataset": {"name": "digits"},
    "train": {"steps": 2000, "report_every": 250},
    "asha": {"grace": 500},
    "search": {"lambda_1": {"loguniform": [0.3, 3]}},
}


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_every_shipped_space_loads(path: Path) -> None:
    spec = load_spec(path)
    assert spec.rungs()[0] == spec.asha.grace
    for point in spec.start_from:
        spec.trial_config(0, point)


@pytest.mark.parametrize(
    ("grace", "steps", "rungs"),
    [
        (500, 1500, [500]),
        (1000, 30_000, [1000, 3000, 9000]),  # not at 27,000, where little is left to save
        (1000, 27_000, [1000, 3000, 9000]),
        (1500, 2000, [1500]),  # one there is, wherever it lies
        (2000, 2000, []),
    ],
)
def test_rungs_lie_where_they_save_something(grace: int, steps: int, rungs: list[int]) -> None:
    settings = {"train": {"steps": steps, "report_every": 500}, "asha": {"grace": grace, "reduction_factor": 3}}
    assert parse_spec({**GOOD, **settings}, "space.yaml").rungs() == rungs


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"typo": 1}, "typo"),
        ({"dataset": {"name": "digitz"}}, "dataset.name"),
        ({"dataset": {"name": "digits", "imbalance": {"splt": 0}}}, "dataset.imbalance"),
        ({"model": {"categories": 1}}, "model.categories"),
        ({"train": {"report_every": 250, "lambda_1": -1}}, "train.lambda_1"),
        ({"train": {"report_every": 250, "lambda_1": float("nan")}}, "train.lambda_1"),
        ({"search": {"lambda_1": {"loguniform": [3, 0.3]}}}, "search.lambda_1"),
        ({"search": {"lambda_1": {"uniform": [-1, 1]}}}, "search.lambda_1"),
        ({"search": {"lamda_1": {"uniform": [0, 1]}}}, "search.lamda_1"),
        ({"search": {"steps": {"randint": [1, 2]}}}, "search.steps"),
        ({"objectives": {"nmi": "minimize"}}, "objectives.nmi"),
        ({"asha": {"grace": 300}}, "asha.grace"),
        ({"asha": {"grace": 50000}}, "asha.grace"),
        ({"trials": 0}, "trials"),
        ({"start_from": [{"lambda_1": 100}]}, "start_from.0.lambda_1"),
    ],
)
def test_a_mistake_is_one_problem_at_its_key(change: dict[str, object], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec({**GOOD, **change}, "space.yaml")
    assert [problem.where for problem in caught.value.problems] == [where]


def test_all_problems_of_a_file_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec({**GOOD, "trials": 0, "typo": 1, "objectives": {"foo": "maximize"}}, "space.yaml")
    assert {problem.where for problem in caught.value.problems} == {"trials", "typo", "objectives.foo"}


def test_broken_yaml_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("dataset: {name: digits")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_spec(path)
