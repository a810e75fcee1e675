"""A trial that will come to nothing is seen, and one that is well is left alone."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eig_tune.config.space import parse_spec
from eig_tune.evaluation import metrics
from eig_tune.hpo import collapse
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import CONTINUE, Action, stop

WELL = {
    "nmi": 0.9, "prior_rmse": 0.03, "discriminator_loss": 0.33, "generator_loss": 2.9,
    "q_mutual_information": 1.04, "prior_entropy": 2.1, "prior_posterior_gap": 0.1,
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "dataset": {"name": "digits"},
    "train": {"steps": 2000, "report_every": 250},
    "asha": {"grace": 500},
    "search": {"lambda_1": {"loguniform": [0.3, 3]}},
    "trials": 9,
}
SPEC = parse_spec(DOCUMENT, "test")
SICK = [
    ({"discriminator_loss": 0.001}, "saturated discriminator"),
    ({"prior_entropy": 0.01}, "prior collapse"),
    ({"q_mutual_information": 0.001}, "category collapse"),
]


def sign(
    metrics: dict[str, float], categories: int = 10, before: float = 1.0, share: float = 1.0, *, learned: bool = True
) -> str | None:
    return collapse.sign_of_collapse(metrics, categories, before, share, learns_prior=learned)


def test_healthy_report_has_no_ailment() -> None:
    assert sign(WELL) is None
    assert collapse.not_a_number(WELL) is None


@pytest.mark.parametrize(("change", "named"), SICK)
def test_collapse_is_named_with_its_number(change: dict[str, float], named: str) -> None:
    assert named in (sign({**WELL, **change}, share=0.1) or "")


@pytest.mark.parametrize(("before", "share", "lost"), [(0.0, 0.4, False), (0.0, 0.5, True), (0.5, 0.1, True)])
def test_slow_model_has_half_of_its_budget_to_gain_information(before: float, share: float, lost: bool) -> None:
    assert (sign({**WELL, "q_mutual_information": 0.0}, 10, before, share) is not None) == lost


def test_vae_whose_capacity_is_still_small_is_not_collapsed() -> None:
    vae = {name: value for name, value in WELL.items() if not name.endswith("_loss")}
    assert sign({**vae, "q_mutual_information": 0.0}) is None


def reported(shares: list[float], categories: int, certainty: float, *, uniform: bool = False) -> dict[str, float]:
    """What a model reports of 2,000 images of classes with these shares, each class in a category of its own."""
    random = np.random.default_rng(0)
    labels_N = random.choice(len(shares), 2000, p=shares)
    q_NK = np.full((2000, categories), (1 - certainty) / max(1, categories - 1))
    q_NK[np.arange(2000), labels_N] = certainty
    prior_K = np.zeros(categories)
    prior_K[: len(shares)] = np.array(shares) * random.uniform(0.9, 1.1, len(shares))
    prior_K = np.full(categories, 1 / categories) if uniform else prior_K / prior_K.sum()
    return {
        **WELL,
        "prior_entropy": metrics.entropy(prior_K),
        "prior_posterior_gap": metrics.total_variation(prior_K, q_NK.mean(axis=0)),
        "q_mutual_information": metrics.q_mutual_information(q_NK),
        "q_entropy": metrics.q_entropy(q_NK),
    }


TRUE_SHARES = [[0.5, 0.5], [0.95, 0.05], [0.99, 0.01], [0.97, 0.02, 0.01], [0.9, *[0.01] * 10], [0.01] * 100]


@pytest.mark.parametrize("shares", TRUE_SHARES, ids=lambda shares: f"{len(shares)}x{shares[0]}")
@pytest.mark.parametrize("extra", [0, 1, 7, 90], ids="{}-categories-too-many".format)
@pytest.mark.parametrize("certainty", [0.9, 0.98, 1.0])
@pytest.mark.parametrize("uniform", [False, True], ids=["learned", "uniform"])
def test_good_model_of_any_true_imbalance_is_well(
    shares: list[float], extra: int, certainty: float, uniform: bool
) -> None:
    categories = len(shares) + extra
    assert sign(reported(shares, categories, certainty, uniform=uniform), categories, learned=not uniform) is None


@pytest.mark.parametrize("categories", [2, 3, 10, 100])
@pytest.mark.parametrize("left", [0.0, 1e-4, 0.01])
def test_prior_in_one_category_is_collapsed_where_q_sees_others_or_nothing(categories: int, left: float) -> None:
    prior_K = np.full(categories, left / (categories - 1))
    prior_K[0] = 1 - left
    dead = {**WELL, "prior_entropy": metrics.entropy(prior_K)}
    others = sign({**dead, "prior_posterior_gap": 0.45, "q_mutual_information": 0.5}, categories, share=0.1)
    nothing = sign({**dead, "prior_posterior_gap": 0.01, "q_mutual_information": 0.001}, categories, share=0.1)
    assert "prior collapse" in (others or "") and "collapse" in (nothing or "")
    assert sign({**dead, "q_mutual_information": 0.5}, categories, learned=False) is None


@pytest.mark.parametrize("categories", [2, 3, 10, 100, 1000])
@pytest.mark.parametrize(("of_most", "share"), [(1.0, 0.01), (0.3, 0.01), (0.005, 1.0)])
def test_q_without_information_is_collapsed_however_many_categories(
    categories: int, of_most: float, share: float
) -> None:
    """Vague about every image, whether its mean is even or not; or sure that all are of one category."""
    of_mean = of_most * math.log(categories)
    lost = {**WELL, "q_mutual_information": share * of_mean, "q_entropy": (1 - share) * of_mean}
    lost["prior_entropy"] = math.log(categories)
    assert "category collapse" in (sign(lost, categories, before=0.0, share=0.5) or "")
    assert sign(lost, categories, before=0.0, share=0.4) is None, "it may be slow only"
    assert sign(lost, categories, before=0.2 * math.log(categories), share=0.4) is not None, "it knew more before"


@pytest.mark.parametrize(
    ("method", "categories", "lost"),
    [
        ({}, {}, True),
        ({"method": "uniform-infogan"}, {}, False),
        ({}, {"categories": 40}, True),
        ({}, {"categories": 4}, False),
    ],
)
def test_trial_is_decided_by_its_own_method_and_categories(
    tmp_path: Path, method: dict[str, Any], categories: dict[str, Any], lost: bool
) -> None:
    """0.15 of log 10 = 2.30, log 40 = 3.69 or log 4 = 1.39 nats, with a Q that disagrees with the prior."""
    report = {**WELL, "prior_entropy": 0.15, "prior_posterior_gap": 0.8}
    varied = {"method": {"choice": ["elastic-infogan", "uniform-infogan"]}, "categories": {"choice": [4, 10, 40]}}
    searched = {name: varied[name] for name in (*method, *categories)}
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        policy = SearchPolicy(parse_spec({**DOCUMENT, "search": {**DOCUMENT["search"], **searched}}, "test"))
        trial = event_log.propose(0, {"lambda_1": 1.0, **method, **categories})
        assert (policy.decide(trial, 500, report).status == "collapsed") == lost


@pytest.mark.parametrize(("change", "named"), SICK)
def test_collapsed_trial_ends_with_its_reason_but_not_before_the_first_rung(
    tmp_path: Path, change: dict[str, float], named: str
) -> None:
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(SPEC), event_log)
        trial = engine.propose()
        assert trial is not None
        early = engine.report(trial.number, 250, {**WELL, **change, "q_mutual_information": 1.0})
        assert early.decision == CONTINUE
        report = engine.report(trial.number, 500, {**WELL, **change})
        engine.carry_out(trial.number)
        assert report.decision.status == trial.status == "collapsed"
        assert named in trial.reason and "step 500" in trial.reason


@pytest.mark.parametrize("name", WELL)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_any_number_that_is_none_fails_the_trial_at_once(tmp_path: Path, name: str, value: float) -> None:
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(SPEC), event_log)
        trial = engine.propose()
        assert trial is not None
        report = engine.report(trial.number, 250, {**WELL, name: value})
        assert report.decision == stop("failed", f"{name} is not a number at step 250")


def test_collapsed_trial_shapes_no_rung(tmp_path: Path) -> None:
    """Neither now nor after a resume: it would be the first of its rung, and so hold a place in it."""
    path = tmp_path / "a" / "events.jsonl"
    with EventLog(path) as event_log:
        engine = Engine(SearchPolicy(SPEC), event_log)
        engine.propose()
        engine.report(0, 500, {**WELL, "nmi": 1.0, "prior_rmse": 0.0, "prior_entropy": 0.0})
        engine.carry_out(0)
    with EventLog(path) as event_log:
        engine = Engine(SearchPolicy(SPEC), event_log)
        decided = []
        for number, nmi in ((1, 0.1), (2, 0.2), (3, 0.9)):
            engine.propose()
            decided.append(engine.report(number, 500, {**WELL, "nmi": nmi}).decision.action)
        assert decided == [Action.PAUSE, Action.PAUSE, Action.CONTINUE], "the best of the three that count"
