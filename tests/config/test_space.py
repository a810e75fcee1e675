"""The YAML of a search: every shipped file loads, every mistake is reported at once."""

from pathlib import Path

import pytest

from eig_tune.config.space import load_spec, parse_spec
from eig_tune.errors import ConfigError

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


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        ({"search": {}}, "search", "at least one"),
        ({"objectives": {}}, "objectives", "at least one"),
        ({"search": {"lambda_1": 3}}, "search.lambda_1", "outside of `search`"),
        ({"search": {"lambda_1": None}}, "search.lambda_1", "outside of `search`"),
        ({"search": {"lambda_1": [1, 3]}}, "search.lambda_1", "outside of `search`"),
        ({"search": {"lambda_1": {"uniform": [3, 3]}}}, "search.lambda_1", "the one value 3"),
        ({"search": {"width": {"randint": [8, 8]}}}, "search.width", "the one value 8"),
        ({"search": {"lambda_1": {"choice": [3]}}}, "search.lambda_1", "the one value 3"),
        ({"search": {"lambda_1": {"choice": []}}}, "search.lambda_1", "two or more"),
        ({"search": {"lambda_1": {"choice": [1, 2, 1]}}}, "search.lambda_1", "1 twice"),
        ({"search": {"lambda_1": {"choice": ["1e-3", 0.001]}}}, "search.lambda_1", "0.001 twice"),
        ({"search": {"lambda_1": {"choice": [1, [2, 3]]}}}, "search.lambda_1.choice.1", "a plain value"),
        ({"search": {"lambda_1": {"choice": [1, float("nan")]}}}, "search.lambda_1", "finite"),
        ({"search": {"lambda_1": {"choice": [1, "much"]}}}, "search.lambda_1", "'much'; must be a number"),
        ({"search": {"lambda_1": {"uniform": [0, "much"]}}}, "search.lambda_1.uniform.1", "finite number"),
        ({"search": {"lambda_1": {"uniform": [0, True]}}}, "search.lambda_1.uniform.1", "finite number"),
        ({"search": {"lambda_1": {"uniform": [0, 10**400]}}}, "search.lambda_1.uniform.1", "finite number"),
        ({"search": {"lambda_1": {"uniform": [1]}}}, "search.lambda_1.uniform.1", "missing"),
        ({"search": {"lambda_1": {"uniform": 1}}}, "search.lambda_1.uniform", "must be a list"),
        ({"search": {"lambda_1": {"quniform": [0, 1e30, 0.1]}}}, "search.lambda_1", "write uniform"),
        ({"search": {"lambda_1": {"uniform": [0, 1], "choice": [1, 2]}}}, "search.lambda_1", "exactly one"),
        ({"search": {"lambda_1": {"uniformly": [0, 1]}}}, "search.lambda_1.uniformly", "'uniform'"),
        ({"search": {"seed": {"randint": [1, 2]}}}, "search.seed", "a seed of its own"),
        ({"search": {"batch_size": {"uniform": [16.5, 64]}}}, "search.batch_size", "16.5; must be a whole number"),
        ({"search": {"batch_size": {"loguniform": [0.5, 64]}}}, "search.batch_size", "0.5; must be a whole number"),
        ({"search": {"batch_size": {"quniform": [16, 64, 0.5]}}}, "search.batch_size", "step must be one, got 0.5"),
        ({"search": {"batch_size": {"choice": [16, 32.5]}}}, "search.batch_size", "32.5; must be a whole number"),
        ({"search": {"batch_size": {"randint": [1, 64]}}}, "search.batch_size", "greater than or equal to 2"),
        ({"search": {"batch_size": {"randint": [True, 64]}}}, "search.batch_size.randint.0", "not true or false"),
        ({"dataset": {"name": "digits", "channels": True}}, "dataset.channels", "must be a number, not true or false"),
        ({"search": {"flip": {"randint": [0, 1]}}}, "search.flip", "choice: [true, false]"),
        ({"search": {"flip": {"uniform": [0, 1]}}}, "search.flip", "choice: [true, false]"),
        ({"search": {"flip": {"choice": [True, "maybe"]}}}, "search.flip", "true or false"),
        ({"search": {"distance": {"uniform": [0, 1]}}}, "search.distance", "write `choice: […]`"),
        ({"search": {"distance": {"choice": ["l2", "l3"]}}}, "search.distance", "'l3'"),
        ({"search": {"method": {"choice": ["elastic-infogan", "elastic"]}}}, "search.method", "'elastic'"),
        ({"start_from": {"lambda_1": 1}}, "start_from", "a list of points"),
        ({"start_from": None}, "start_from", "a list of points"),
        ({"start_from": [3]}, "start_from.0", "must be a mapping"),
        ({"start_from": [{"lambda_1": 1}, None]}, "start_from.1", "must be a mapping"),
        ({"start_from": [{"lambda_1": "one"}]}, "start_from.0.lambda_1", "must be a number"),
        ({"start_from": [{"lambda_1": True}]}, "start_from.0.lambda_1", "must be a number"),
        ({"start_from": [{"lambda_1": [1]}]}, "start_from.0.lambda_1", "must be a number"),
        ({"start_from": [{"lambda_1": float("nan")}]}, "start_from.0.lambda_1", "finite"),
        ({"start_from": [{"lambda_2": 1}]}, "start_from.0.lambda_2", "is not searched"),
        ({"start_from": [{"lamda_1": 1}]}, "start_from.0.lamda_1", "did you mean 'lambda_1'"),
        ({"compare": {"joint-vae": {"vae_lr": "fast"}}}, "compare.joint-vae.vae_lr", "must be a number"),
        ({"compare": {"joint-vae": {"vae_rl": 1}}}, "compare.joint-vae.vae_rl", "did you mean 'vae_lr'"),
        ({"compare": {"joint-vae": {"method": "elastic-infogan"}}}, "compare.joint-vae.method", "no such parameter"),
        ({"compare": {"joint-vae": {"seed": 3}}}, "compare.joint-vae.seed", "no such parameter"),
        ({"compare": {"joint-vae": 3}}, "compare.joint-vae", "must be a mapping"),
        ({"compare": {"joint_vae": {}}}, "compare.joint_vae", "did you mean 'joint-vae'"),
        ({"trials": True}, "trials", "must be a number"),
        ({"confirm": {"splits": [1, True]}}, "confirm.splits.1", "must be a whole number"),
        ({"trials": "many"}, "trials", "must be a whole number"),
    ],
)
def test_value_that_its_field_cannot_have_is_one_problem_at_its_key(
    change: dict[str, object], where: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec({**GOOD, **change}, "space.yaml")
    (problem,) = caught.value.problems
    assert problem.where == where
    assert words in problem.what and "\n" not in problem.what


SWITCHED = {
    "distance": {"choice": ["js", "nt_xent"]},
    "nt_xent_temperature": {"uniform": [0.1, 1], "when": {"distance": "nt_xent"}},
    "categories": {"choice": [10, 20]},
    "tau": {"loguniform": [0.1, 1], "when": {"categories": "20", "distance": ["js", "nt_xent"]}},
}


@pytest.mark.parametrize(
    ("search", "where", "words"),
    [
        ({"tau": {"uniform": [1, 2], "when": {"distance": "ntxent"}}}, "search.tau.when.distance", "'ntxent'"),
        ({"tau": {"uniform": [1, 2], "when": {"distance": "js"}}}, "search.tau.when.distance", "no trial has"),
        ({"tau": {"uniform": [1, 2], "when": {"dist": "js"}}}, "search.tau.when.dist", "did you mean 'distance'"),
        ({"tau": {"uniform": [1, 2], "when": {"tau": 1}}}, "search", "circle"),
        ({"tau": {"uniform": [1, 2], "when": {"seed": 1}}}, "search.tau.when.seed", "no such parameter"),
        ({"tau": {"uniform": [1, 2], "when": 3}}, "search.tau.when", "must be a mapping"),
        ({"tau": {"uniform": [1, 2], "when": {"distance": []}}}, "search.tau.when.distance", "a list of values"),
        ({"tau": {"uniform": [1, 2], "when": {"distance": {}}}}, "search.tau.when.distance", "a list of values"),
        ({"tau": {"uniform": [1, 2], "when": {"lambda_1": 3.0}}}, "search.tau.when.lambda_1", "no trial has"),
        ({**SWITCHED, "tau": {"uniform": [1, 2], "when": {"distance": "l2"}}}, "search.tau.when.distance", "'l2'"),
        ({**SWITCHED, "tau": {"uniform": [1, 2], "when": {"categories": 30}}}, "search.tau.when.categories", "30"),
        (
            {**SWITCHED, "tau": {"uniform": [1, 2], "when": {"categories": "x"}}},
            "search.tau.when.categories",
            "whole number",
        ),
        (
            {
                **SWITCHED,
                "tau": {"uniform": [1, 2], "when": {"flip": True, "distance": "js"}},
                "flip": {"choice": [True, False], "when": {"distance": "nt_xent"}},
            },
            "search.tau.when",
            "at once",
        ),
    ],
)
def test_condition_that_no_trial_fulfils_is_refused(search: dict[str, object], where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec({**GOOD, "search": {**GOOD["search"], **search}}, "space.yaml")  # type: ignore[dict-item]
    (problem,) = caught.value.problems
    assert problem.where == where and words in problem.what


@pytest.mark.parametrize(
    "search",
    [
        SWITCHED,
        {"tau": {"uniform": [1, 2], "when": {"lambda_2": 0.3}}, "lambda_2": {"quniform": [0.1, 0.5, 0.1]}},
        {"tau": {"uniform": [1, 2], "when": {"categories": 12}}, "categories": {"loguniform": [8, 16]}},
        {"tau": {"uniform": [1, 2], "when": {"distance": "nt_xent"}}},
        {
            "tau": {"uniform": [1, 2], "when": {"flip": False}},
            "flip": {"choice": [True, False], "when": {"distance": "nt_xent"}},
            "distance": {"choice": ["js", "l2", "nt_xent"]},
        },
    ],
)
def test_condition_that_some_trial_fulfils_is_taken(search: dict[str, object]) -> None:
    assert parse_spec({**GOOD, "search": search}, "space.yaml").search["tau"].when


@pytest.mark.parametrize(
    ("point", "where", "words"),
    [
        ({"distance": "js", "nt_xent_temperature": 0.5}, "nt_xent_temperature", "here it is 'js'; leave it out"),
        ({"nt_xent_temperature": 0.5}, "nt_xent_temperature", "give distance in this point, too"),
        ({"distance": "l2"}, "distance", "outside of search.distance"),
        ({"distance": "nt_xent", "nt_xent_temperature": 3}, "nt_xent_temperature", "outside"),
        ({"categories": 15}, "categories", "outside"),
        ({"categories": 10, "distance": "js", "tau": 0.5}, "tau", "here it is 10"),
    ],
)
def test_start_point_must_exist_in_the_space(point: dict[str, object], where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec({**GOOD, "search": SWITCHED, "start_from": [point]}, "space.yaml")
    (problem,) = caught.value.problems
    assert problem.where == f"start_from.0.{where}" and words in problem.what


def test_every_value_has_the_type_of_its_field() -> None:
    search = {
        "batch_size": {"loguniform": ["16", 128.0]},
        "width": {"quniform": [8, 64, 8]},
        "lambda_1": {"choice": ["1e-3", 1]},
        "flip": {"choice": ["on", "off"]},
        "tau": {"uniform": [1, 2], "when": {"flip": "yes"}},
    }
    point = {"batch_size": "32", "width": 16.0, "lambda_1": 1, "flip": "on", "tau": 1}
    rows = {"joint-vae": {"vae_lr": "1e-3", "steps": 9.0}}
    spec = parse_spec({**GOOD, "search": search, "start_from": [point], "compare": rows}, "space.yaml")
    assert repr(spec.search["batch_size"].extremes()) == "(16, 128)"
    assert repr(spec.search["lambda_1"].extremes()) == "(0.001, 1.0)"
    assert spec.search["flip"].extremes() == (True, False)
    assert spec.search["tau"].when == {"flip": (True,)}
    assert repr(spec.start_from[0]) == repr({"batch_size": 32, "width": 16, "lambda_1": 1.0, "flip": True, "tau": 1.0})
    assert repr(spec.compare) == repr({"joint-vae": {"vae_lr": 0.001, "steps": 9}})


def test_point_of_another_search_is_typed_or_none() -> None:
    """As MLflow has parameters, whole numbers may stand where the field has others."""
    spec = parse_spec({**GOOD, "search": SWITCHED}, "space.yaml")
    params = {"distance": "nt_xent", "nt_xent_temperature": 1, "categories": 20.0, "tau": "0.5"}
    assert repr(spec.point(params)) == repr(
        {"distance": "nt_xent", "nt_xent_temperature": 1.0, "categories": 20, "tau": 0.5}
    )
    assert spec.point({"distance": "l2"}) is None
    assert spec.point({"lambda_2": 1.0}) is None
    assert spec.point({"distance": "js", "nt_xent_temperature": 0.5}) is None


def test_run_that_is_never_stopped_early_needs_no_rungs() -> None:
    document = {**GOOD, "train": {"steps": 300, "report_every": 250}}
    with pytest.raises(ConfigError, match=r"asha\.grace"):
        parse_spec(document, "space.yaml")
    assert parse_spec(document, "space.yaml", searching=False).train.steps == 300


def test_all_problems_of_a_file_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec({**GOOD, "trials": 0, "typo": 1, "objectives": {"foo": "maximize"}}, "space.yaml")
    assert {problem.where for problem in caught.value.problems} == {"trials", "typo", "objectives.foo"}


def test_broken_yaml_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("dataset: {name: digits")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_spec(path)
