"""What a search is for by default, and objectives that a bad model would win."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eig_tune.config.objectives import as_far_as_known, default_objectives, safe_without_labels, unsafe_objectives
from eig_tune.config.space import SearchSpec, load_spec, parse_spec
from eig_tune.evaluation import metrics
from eig_tune.evaluation.base import Metric
from eig_tune.evaluation.metrics import METRICS
from eig_tune.evaluation.registry import directions, register_metric
from eig_tune.reports.provenance import write_spec

LABEL_FREE = [name for name in directions() if not METRICS[name].needs_labels]
SAFE = ["neighbour_nmi", "label_free_score"]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Forget afterwards what a test has registered."""
    before = dict(METRICS)
    yield
    METRICS.clear()
    METRICS.update(before)


def space(**sections: Any) -> SearchSpec:
    document = {"dataset": {"name": "digits"}, "search": {"lambda_1": {"loguniform": [0.3, 3]}}, **sections}
    return parse_spec(document, "test")


def test_default_follows_the_labels_and_named_objectives_stay() -> None:
    assert space().for_images(labelled=True).objectives == {"nmi": "maximize", "prior_rmse": "minimize"}
    without = space().for_images(labelled=False)
    assert without.objectives == {"label_free_score": "maximize", "augment_information": "maximize"}
    assert without.for_images(labelled=True) is without, "what was resolved once stays"
    named = space(objectives={"nmi": "maximize"})
    assert named.for_images(labelled=False) is named


@pytest.mark.parametrize("labelled", [True, False])
def test_resolved_space_that_is_written_is_read_back_as_it_was(tmp_path: Path, labelled: bool) -> None:
    resolved = space().for_images(labelled=labelled)
    write_spec(resolved, tmp_path)
    again = load_spec(tmp_path / "resolved_space.yaml")
    assert again.objectives == resolved.objectives
    assert again.names_objectives


@pytest.mark.parametrize("labelled", [True, False])
def test_defaults_are_safe_and_run_in_their_own_direction(labelled: bool) -> None:
    objectives = default_objectives(labelled=labelled)
    assert as_far_as_known(dict(objectives)) == objectives
    assert unsafe_objectives(objectives, ()) == []


def test_of_what_is_not_known_here_nothing_is_taken() -> None:
    unknown: list[object] = [
        None,
        {},
        [],
        {"nmj": "maximize"},
        {"nmi": "minimize"},
        {"nmi": "maximize", "own": "maximize"},
    ]
    for written in unknown:
        assert as_far_as_known(written) is None


@pytest.mark.parametrize("name", sorted(set(LABEL_FREE) - set(SAFE)))
def test_alone_refused_is_what_a_bad_model_wins(name: str) -> None:
    (problem,) = unsafe_objectives([name], ["lambda_1"])
    assert problem.where == "objectives"
    assert f"{name} alone is also best for {METRICS[name].fooled_by}. Add neighbour_nmi or label_free_score" in str(
        problem
    )


@pytest.mark.parametrize("safe", [*SAFE, "nmi", "nmi_real"])
@pytest.mark.parametrize("name", ["code_recovery", "q_entropy"])
def test_one_that_no_bad_model_wins_is_enough(name: str, safe: str) -> None:
    assert unsafe_objectives([name, safe], []) == []


def test_all_of_several_are_named_with_their_reasons() -> None:
    (problem,) = unsafe_objectives(["augment_agreement", "prior_posterior_gap", "code_recovery"], [])
    for name in ("augment_agreement", "prior_posterior_gap", "code_recovery"):
        assert f"{name} is also best for {METRICS[name].fooled_by}" in problem.what


def test_safe_ones_are_those_of_the_table() -> None:
    assert safe_without_labels() == SAFE


@pytest.mark.parametrize("name", LABEL_FREE)
def test_number_of_categories_is_not_chosen_without_labels(name: str) -> None:
    problems = unsafe_objectives([name, "neighbour_nmi"], ["categories"])
    assert [problem.where for problem in problems] == ["search.categories"]
    assert "eig-tune suggest-k" in problems[0].what
    assert unsafe_objectives([name, "nmi"], ["categories"]) == []


def test_own_metric_is_trusted_unless_it_says_otherwise() -> None:
    register_metric(Metric("mine", lambda seen: 0.0, "mine", "maximize"))
    assert unsafe_objectives(["mine"], ["categories"]) == []
    register_metric(Metric("mine", lambda seen: 0.0, "mine", "maximize", fooled_by="noise", biased_by_categories=True))
    assert [problem.where for problem in unsafe_objectives(["mine"], ["categories"])] == [
        "objectives",
        "search.categories",
    ]
    assert "mine" not in safe_without_labels()


def test_model_that_puts_all_into_one_category_is_best_where_the_table_says_so() -> None:
    """K = 4; Q and the prior know one category only, and the same of every image."""
    q_NK = np.tile([1.0, 0.0, 0.0, 0.0], (50, 1))
    read_N = q_NK.argmax(axis=1)
    assert metrics.q_entropy(q_NK) == 0
    assert metrics.agreement(read_N, read_N) == 1
    assert metrics.total_variation(q_NK[0], q_NK.mean(axis=0)) == 0
    codes_G, nearest_G5 = np.arange(40) % 4, np.zeros((40, 5), np.int64)
    assert metrics.neighbour_nmi(codes_G, nearest_G5, read_N, 4) == 0
