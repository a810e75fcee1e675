"""A trial that will come to nothing is seen, and one that is well is left alone."""

from pathlib import Path

import pytest

from eig_tune.tuning import health
from eig_tune.tuning.engine import Engine
from eig_tune.tuning.ledger import Ledger
from eig_tune.tuning.space import parse_spec
from eig_tune.tuning.strategies import Searching

WELL = {
    "nmi": 0.9, "prior_rmse": 0.03, "discriminator_loss": 0.33, "generator_loss": 2.9,
    "q_mutual_information": 1.04, "prior_entropy": 2.1,
}  # fmt: skip
SPEC = parse_spec(
    {
        "dataset": {"name": "digits"},
        "train": {"steps": 2000, "report_every": 250},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "trials": 9,
    },
    "test",
)
SICK = [
    ({"discriminator_loss": 0.001}, "saturated discriminator"),
    ({"prior_entropy": 0.01}, "prior collapse"),
    ({"q_mutual_information": 0.001}, "category collapse"),
]


def test_healthy_report_has_no_ailment() -> None:
    assert health.collapse(WELL, most_information=1.0, share_of_budget=1.0) is None
    assert health.not_a_number(WELL) is None


@pytest.mark.parametrize(("change", "told"), SICK)
def test_collapse_is_named_with_its_number(change: dict[str, float], told: str) -> None:
    assert told in (health.collapse({**WELL, **change}, most_information=1.0, share_of_budget=0.1) or "")


@pytest.mark.parametrize(("before", "share", "lost"), [(0.0, 0.4, False), (0.0, 0.5, True), (0.5, 0.1, True)])
def test_slow_model_gets_half_of_its_budget_to_tell_anything(before: float, share: float, lost: bool) -> None:
    assert (health.collapse({**WELL, "q_mutual_information": 0.0}, before, share) is not None) == lost


def test_vae_whose_capacity_is_still_small_is_not_collapsed() -> None:
    vae = {name: value for name, value in WELL.items() if not name.endswith("_loss")}
    assert health.collapse({**vae, "q_mutual_information": 0.0}, 1.0, 1.0) is None


@pytest.mark.parametrize(("change", "told"), SICK)
def test_collapsed_trial_ends_with_its_reason_but_not_before_the_first_rung(
    tmp_path: Path, change: dict[str, float], told: str
) -> None:
    with Ledger(tmp_path / "a" / "ledger.jsonl") as ledger:
        engine = Engine(Searching(SPEC), ledger)
        trial = engine.propose()
        assert trial is not None
        assert engine.report(trial.number, 250, {**WELL, **change, "q_mutual_information": 1.0}).verdict == "running"
        report = engine.report(trial.number, 500, {**WELL, **change})
        engine.end(trial.number)
        assert report.verdict == trial.status == "collapsed"
        assert told in trial.reason and "step 500" in trial.reason


@pytest.mark.parametrize("name", WELL)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_any_number_that_is_none_fails_the_trial_at_once(tmp_path: Path, name: str, value: float) -> None:
    with Ledger(tmp_path / "a" / "ledger.jsonl") as ledger:
        engine = Engine(Searching(SPEC), ledger)
        trial = engine.propose()
        assert trial is not None
        report = engine.report(trial.number, 250, {**WELL, name: value})
        assert (report.verdict, report.reason) == ("failed", f"{name} is not a number at step 250")


def test_collapsed_trial_shapes_no_rung(tmp_path: Path) -> None:
    """Neither now nor after a resume: it would be the first of its rung, and so hold a place in it."""
    path = tmp_path / "a" / "ledger.jsonl"
    with Ledger(path) as ledger:
        engine = Engine(Searching(SPEC), ledger)
        engine.propose()
        engine.report(0, 500, {**WELL, "nmi": 1.0, "prior_rmse": 0.0, "prior_entropy": 0.0})
        engine.end(0)
    with Ledger(path) as ledger:
        engine = Engine(Searching(SPEC), ledger)
        verdicts = []
        for number, nmi in ((1, 0.1), (2, 0.2), (3, 0.9)):
            engine.propose()
            verdicts.append(engine.report(number, 500, {**WELL, "nmi": nmi}).verdict)
        assert verdicts == ["paused", "paused", "running"], "the best of the three that count"
