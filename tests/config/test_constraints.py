"""Bounds on metrics: how they are written, and what is wrong with one."""

import re
from pathlib import Path
from typing import Any

import pytest

from eig_tune.config.constraints import Bound, pattern, written
from eig_tune.config.space import SearchSpec, load_spec, parse_spec
from eig_tune.data import ImageData
from eig_tune.errors import ConfigError
from eig_tune.evaluation.metrics import METRICS
from eig_tune.workflows.fit import check_fit


def spec_with(constraints: Any, **changes: Any) -> SearchSpec:
    document = {"dataset": {"name": "digits"}, "search": {"lambda_1": {"uniform": [1, 2]}}, **changes}
    return parse_spec({**document, "constraints": constraints}, "test")


@pytest.mark.parametrize(
    ("text", "is_written"),
    [(">= 0.8", ">= 0.8"), (">=.8", ">= 0.8"), ("  >=   8e-1 ", ">= 0.8"), (">= +0.80", ">= 0.8"), (">=1", ">= 1")],
)
def test_number_may_be_written_in_any_way(text: str, is_written: str) -> None:
    spec = spec_with({"nmi_real": text})
    assert written(spec.constraints) == {"nmi_real": is_written}
    assert re.search(pattern(METRICS["nmi_real"]), text), "the JSON schema takes it, too"
    assert parse_spec(spec.model_dump(mode="json"), "again").constraints == spec.constraints


def test_bound_meets_itself_and_says_by_how_much_it_is_missed() -> None:
    floor, ceiling = Bound.parse(">= 0.8"), Bound.parse("<= 0.05")
    assert floor.excess(0.8) == ceiling.excess(0.05) == 0
    assert floor.excess(0.5) == pytest.approx(0.3) and ceiling.excess(0.06) == pytest.approx(0.01)
    assert floor.excess(0.9) < 0 and ceiling.excess(0.01) < 0
    assert ceiling.relative_excess(0.06) == pytest.approx(0.2) and Bound.parse(">= 0").relative_excess(-3.0) == 3


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nmi_reel", ">= 0.8", "no such metric; did you mean 'nmi_real'?"),
        ("nmi_real", "> 0.8", "got '> 0.8'; the operator must be >= or <=: write a bound as text, such as '>= 0.8'"),
        ("nmi_real", "≥ 0.8", "the operator must be >= or <="),
        ("nmi_real", "0.8", "the operator must be >= or <="),
        ("nmi_real", 0.8, "got 0.8; write a bound as text, such as '>= 0.8' or '<= 0.05'"),
        ("nmi_real", True, "got true; write a bound as text"),
        ("nmi_real", None, "got nothing; write a bound as text"),
        ("nmi_real", ">= much", "got '>= much'; write a bound as text"),
        ("nmi_real", ">= .nan", "got '>= .nan'; must be a finite number"),
        ("nmi_real", ">= inf", "must be a finite number"),
        ("nmi_real", ">= 1e999", "must be a finite number"),
        ("nmi_real", ">= 1.2", "got '>= 1.2'; nmi_real lies between 0 and 1"),
        ("prior_rmse", "<= -0.1", "prior_rmse lies between 0 and 1"),
        ("nmi_real", ">= 0", "every trial meets that: nmi_real lies between 0 and 1"),
        ("prior_rmse", "<= 1", "every trial meets that"),
        ("nmi_real", "<= 0.8", "nmi_real is better when you maximize it: write '>= 0.8'"),
        ("prior_rmse", ">= 0.05", "prior_rmse is better when you minimize it: write '<= 0.05'"),
    ],
)
def test_mistake_is_one_problem(name: str, text: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec_with({name: text})
    (problem,) = caught.value.problems
    assert problem.where == f"constraints.{name}" and words in problem.what


def test_metric_without_a_direction_may_be_bounded_from_either_side() -> None:
    for text in (">= 0.5", "<= 2"):
        assert written(spec_with({"prior_entropy": text}).constraints) == {"prior_entropy": text}


def test_section_that_is_no_mapping_is_one_problem() -> None:
    for wrong in (["nmi_real >= 0.8"], "nmi_real >= 0.8", 3, None):
        with pytest.raises(ConfigError, match=r"constraints: got .*; must be a mapping") as caught:
            spec_with(wrong)
        assert len(caught.value.problems) == 1


@pytest.mark.parametrize("entry", ["  nmi_real: >= 0.8", "  {nmi_real: >= 0.8}"])
def test_bound_without_quotes_is_said_to_need_them(tmp_path: Path, entry: str) -> None:
    """In YAML a text that begins with > is something else."""
    file = tmp_path / "space.yaml"
    file.write_text(f"dataset: {{name: digits}}\nsearch: {{lambda_1: {{uniform: [1, 2]}}}}\nconstraints:\n{entry}\n")
    with pytest.raises(ConfigError, match=r"line 4: .*; a text that begins with > needs quotes, such as '>= 0\.8'"):
        load_spec(file)


def test_constraint_that_needs_labels_does_not_fit_images_without(
    digits: ImageData, unlabelled_digits: ImageData
) -> None:
    spec = spec_with({"nmi_real": ">= 0.8", "code_recovery": ">= 0.5"}, objectives={"neighbour_nmi": "maximize"})
    check_fit(spec, digits)
    with pytest.raises(ConfigError) as caught:
        check_fit(spec, unlabelled_digits)
    assert [str(problem) for problem in caught.value.problems] == [
        "constraints.nmi_real: nmi_real needs labels, and these images have none; leave it out"
    ]


def test_no_more_classes_can_be_asked_for_than_there_are(digits: ImageData) -> None:
    check_fit(spec_with({"classes_found": ">= 10"}), digits)
    with pytest.raises(ConfigError, match=r"constraints\.classes_found: got '>= 11'; there are 10 classes"):
        check_fit(spec_with({"classes_found": ">= 11"}), digits)
