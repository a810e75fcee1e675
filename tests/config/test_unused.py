"""What changes nothing is said, and nothing else is."""

from pathlib import Path
from typing import Any

import pytest

from eig_tune.config.space import load_spec, parse_spec
from eig_tune.config.unused import find_unused_in_comparison, find_unused_in_run, find_unused_in_search
from eig_tune.errors import Problem
from eig_tune.models import METHODS
from eig_tune.workflows.train import single_config

SPACES = sorted(Path(__file__).parents[2].glob("search_spaces/*.yaml"))
GOOD: dict[str, Any] = {
    "dataset": {"name": "digits"},
    "train": {"steps": 2000, "report_every": 250},
    "asha": {"grace": 500},
    "search": {"width": {"choice": [16, 32]}},
}
RANGE = {"uniform": [0.1, 0.4]}


def wheres(problems: list[Problem]) -> list[str]:
    return [problem.where for problem in problems]


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_shipped_space_says_nothing_that_changes_nothing(path: Path) -> None:
    spec = load_spec(path)
    assert find_unused_in_search(spec) == []
    assert find_unused_in_comparison(spec, list(METHODS)) == []
    assert find_unused_in_run(spec, single_config(spec, {}), []) == []


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        ({"method": "uniform-infogan", "search": {"lambda_2": RANGE}}, "search.lambda_2", "no trial"),
        ({"method": "gumbel-softmax+trans", "search": {"lambda_3": RANGE}}, "search.lambda_3", "entropy loss"),
        ({"method": "uniform-infogan", "search": {"prior_lr": RANGE}}, "search.prior_lr", "learns its prior"),
        ({"search": {"vae_lr": RANGE}}, "search.vae_lr", "with joint-vae"),
        ({"method": "joint-vae", "search": {"tau": RANGE}}, "search.tau", "learns its prior"),
        ({"method": "joint-vae", "search": {"rotation": RANGE}}, "search.rotation", "no trial"),
        (
            {"train": {**GOOD["train"], "distance": "js"}, "search": {"nt_xent_temperature": RANGE}},
            "search.nt_xent_temperature",
            "distance: nt_xent",
        ),
        (
            {"search": {"nt_xent_temperature": RANGE, "distance": {"choice": ["js", "l2"]}}},
            "search.nt_xent_temperature",
            "no trial",
        ),
        (
            {"search": {"nt_xent_temperature": RANGE, "distance": {"choice": ["js", "nt_xent"]}}},
            "search.nt_xent_temperature",
            "only some trials",
        ),
        (
            {"search": {"lambda_3": RANGE, "method": {"choice": ["gumbel-softmax", "elastic-infogan"]}}},
            "search.lambda_3",
            "only some trials",
        ),
        (
            {
                "search": {
                    "prior_entropy_in_information": {"choice": [True, False], "when": {"prior_update": "posterior"}},
                    "prior_update": {"choice": ["gradient", "posterior"]},
                }
            },
            "search.prior_entropy_in_information",
            "no trial",
        ),
        ({"train": {**GOOD["train"], "vae_lr": 1e-3}}, "train.vae_lr", "with joint-vae"),
        ({"method": "joint-vae", "model": {"noise_dim": 30}}, "model.noise_dim", "InfoGAN"),
        ({"method": "joint-vae", "augment": {"zoom": 0.2}}, "augment.zoom", "transformation or the entropy"),
        ({"model": {"width": 64}}, "model.width", "because it is searched"),
        ({"trials": 1, "start_from": [{"width": 16}, {"width": 32}]}, "start_from", "more points (2)"),
    ],
)
def test_what_changes_nothing_in_a_search_is_one_warning(change: dict[str, Any], where: str, words: str) -> None:
    (problem,) = find_unused_in_search(parse_spec({**GOOD, **change}, "space.yaml"))
    assert problem.where == where and words in problem.what


@pytest.mark.parametrize(
    "search",
    [
        {"nt_xent_temperature": RANGE},
        {"nt_xent_temperature": {**RANGE, "when": {"distance": "nt_xent"}}, "distance": {"choice": ["js", "nt_xent"]}},
        {
            "lambda_2": {**RANGE, "when": {"method": ["elastic-infogan", "gumbel-softmax+trans"]}},
            "method": {"choice": ["elastic-infogan", "gumbel-softmax+trans", "gumbel-softmax"]},
        },
        {"vae_lr": {**RANGE, "when": {"method": "joint-vae"}}, "method": {"choice": ["joint-vae", "gumbel-softmax"]}},
    ],
)
def test_search_in_which_all_is_used_is_not_warned_of(search: dict[str, Any]) -> None:
    assert find_unused_in_search(parse_spec({**GOOD, "search": search}, "space.yaml")) == []


@pytest.mark.parametrize(("start", "warned"), [([{"lambda_1": 1.0}], False), ([{"width": 16}], True), ([], True)])
def test_fixed_value_of_a_searched_field_is_for_the_comparison(start: list[dict[str, Any]], warned: bool) -> None:
    search = {**GOOD["search"], "lambda_1": {"loguniform": [0.1, 10]}}
    space = {
        **GOOD,
        "search": search,
        "model": {"width": 64},
        "start_from": start,
        "compare": {"joint-vae": {"vae_lr": 1e-3}},
    }
    problems = find_unused_in_search(parse_spec(space, "space.yaml"))
    assert [problem.where for problem in problems] == ["model.width"] * warned


def test_comparison_is_warned_of_what_none_of_its_methods_uses() -> None:
    spec = parse_spec(
        {
            **GOOD,
            "train": {**GOOD["train"], "vae_lr": 1e-3, "lambda_3": 1.0},
            "compare": {"uniform-infogan": {"tau": 0.1, "lambda_1": 2}, "joint-vae": {"lambda_1": 2}},
        },
        "space.yaml",
    )
    assert wheres(find_unused_in_comparison(spec, list(METHODS))) == [
        "compare.uniform-infogan.tau",
        "compare.joint-vae.lambda_1",
    ]
    assert wheres(find_unused_in_comparison(spec, ["uniform-infogan"])) == [
        "train.lambda_3", "train.vae_lr", "compare.uniform-infogan.tau",
    ]  # fmt: skip


def test_run_is_warned_of_what_its_method_does_not_use() -> None:
    spec = parse_spec({**GOOD, "train": {**GOOD["train"], "vae_lr": 1e-3}}, "space.yaml")
    assert wheres(find_unused_in_run(spec, single_config(spec, {}), [])) == ["train.vae_lr"]
    values = {"method": "joint-vae", "lambda_2": 3}
    assert wheres(find_unused_in_run(spec, single_config(spec, values), list(values))) == ["--set lambda_2"]


def test_prior_that_stays_uniform_to_the_end_is_said_wherever_a_run_may_be_that_short() -> None:
    """Such as by `--steps` below what a space was written for."""
    following = {"prior_update": "posterior", "prior_warmup_steps": 1500}
    long = parse_spec({**GOOD, "train": {**GOOD["train"], **following}}, "space.yaml")
    short = parse_spec({**GOOD, "train": {**GOOD["train"], **following, "steps": 1500}}, "space.yaml")
    for spec, said in ((long, []), (short, ["train.prior_warmup_steps"])):
        assert wheres(find_unused_in_search(spec)) == said
        assert wheres(find_unused_in_comparison(spec, list(METHODS))) == said
        assert wheres(find_unused_in_run(spec, single_config(spec, {}), [])) == said
    (problem,) = find_unused_in_search(short)
    assert "1500 is not below `steps`, 1500" in problem.what
    values = {"method": "uniform-infogan"}
    assert "train.prior_warmup_steps" not in wheres(find_unused_in_run(short, single_config(short, values), [*values]))


def test_searched_warmup_is_for_the_search_to_choose() -> None:
    search = {**GOOD["search"], "prior_warmup_steps": {"choice": [500, 5000]}}
    spec = parse_spec({**GOOD, "train": {**GOOD["train"], "prior_update": "posterior"}, "search": search}, "space.yaml")
    assert find_unused_in_search(spec) == []
