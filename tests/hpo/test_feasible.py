"""Trials that meet all constraints come first; where none does, the nearest to them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from small_search import STEPS, run, spec

from eig_tune.config.constraints import NO_CONSTRAINTS, Bound
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.objectives import front_of, missed
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.selection import choose, ranked, start_points, to_confirm
from eig_tune.hpo.state import SearchState
from eig_tune.tracking import TrackedTrial

TWO = {"nmi": "maximize", "prior_rmse": "minimize"}
METRICS = ("nmi", "prior_rmse", "nmi_real")
FLOOR = {"nmi_real": Bound.parse(">= 0.8")}
BOTH = {**FLOOR, "prior_rmse": Bound.parse("<= 0.1")}


def tracked(number: int, *found: float, confirmed: Sequence[float] = (), confirmation: str = "") -> TrackedTrial:
    metrics = dict(zip(METRICS, found, strict=False))
    metrics |= {f"confirmed.{name}": value for name, value in zip(METRICS, confirmed, strict=False)}
    confirmation = confirmation or ("complete" if confirmed else "")
    return TrackedTrial(number, f"run{number}", "finished", "", {}, metrics, confirmation)


def test_trial_that_meets_all_constraints_comes_before_one_that_does_not() -> None:
    trials = [tracked(0, 0.95, 0.02, 0.79), tracked(1, 0.7, 0.2, 0.8), tracked(2, 0.6, 0.1, 0.9)]
    for by in ("knee", *TWO):
        assert ranked(trials, TWO, FLOOR, by)[-1].number == 0
    assert choose(trials, TWO, FLOOR, "nmi").number == 1
    assert choose(trials, TWO, BOTH, "nmi").number == 2, "0.2 is more than 0.1"
    assert [t.number for t in to_confirm(trials, TWO, FLOOR, 3)] == [2, 1, 0]
    assert [t.number for t in start_points(trials, TWO, FLOOR)] == [2, 1]
    assert front_of(trials, lambda t: t.found, TWO, FLOOR) == trials[1:]


def test_knee_is_that_of_the_trials_that_meet_the_constraints() -> None:
    """What a trial that does not meet them has cannot be had: the ideal point is not drawn to it."""
    a, b, c = tracked(0, 0.90, 0.04, 0.9), tracked(1, 0.80, 0.02, 0.9), tracked(2, 0.85, 0.03, 0.9)
    forbidden = tracked(3, 0.99, 0.04, 0.1)
    assert choose([a, b, c, forbidden], TWO, FLOOR).number == 1
    assert (
        choose(
            [a, b, c, replace(forbidden, metrics={**forbidden.metrics, "nmi_real": 0.9})], TWO, NO_CONSTRAINTS
        ).number
        == 2
    )


def test_where_none_meets_them_the_least_violation_decides_scaled_by_each_metrics_range() -> None:
    """The NMI of real images spreads over 0.5 here and the RMSE over 0.1: 0.1 of that is less than 0.03 of this."""
    trials = [tracked(0, 0.9, 0.13, 0.9), tracked(1, 0.5, 0.10, 0.7), tracked(2, 0.95, 0.20, 0.4)]
    assert [trial.number for trial in ranked(trials, TWO, BOTH)] == [1, 0, 2]
    assert to_confirm(trials, TWO, BOTH, 1)[0].number == choose(trials, TWO, BOTH, "nmi").number == 1
    assert front_of(trials, lambda t: t.found, TWO, BOTH) == trials, "as it would be without constraints"


def test_confirmed_trial_meets_a_constraint_by_its_mean() -> None:
    lucky = tracked(0, 0.95, 0.02, 0.85, confirmed=(0.93, 0.03, 0.75))
    steady = tracked(1, 0.80, 0.05, 0.78, confirmed=(0.79, 0.05, 0.81))
    found_only = tracked(2, 0.99, 0.01, 0.99)
    assert choose([lucky, steady, found_only], TWO, FLOOR).number == 1
    assert choose([lucky, found_only], TWO, FLOOR).number == 0, "confirmed comes before found all the same"


def test_trial_that_lacks_the_metric_of_a_constraint_does_not_meet_it() -> None:
    lacking, meets = tracked(0, 0.9, 0.1), tracked(1, 0.1, 0.9, 0.9)
    assert choose([lacking, meets], TWO, FLOOR).number == 1
    assert choose([lacking], TWO, FLOOR).number == 0
    assert missed(lacking.found, FLOOR) == {"nmi_real": float("inf")}


@pytest.mark.parametrize("seed", range(20))
def test_constraints_that_all_meet_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = [tracked(n, *np.round(rng.random(3), 1)) for n in range(15)]
    loose = {"nmi_real": Bound.parse(">= -1")}
    for by in ("knee", *TWO):
        assert ranked(trials, TWO, NO_CONSTRAINTS, by) == ranked(trials, TWO, loose, by)
    assert to_confirm(trials, TWO, NO_CONSTRAINTS, 9) == to_confirm(trials, TWO, loose, 9)
    assert start_points(trials, TWO, NO_CONSTRAINTS) == start_points(trials, TWO, loose)


def constrained(**constraints: str) -> SearchPolicy:
    bounds = {name: Bound.parse(text) for name, text in constraints.items()}
    return SearchPolicy(spec(trials=27).model_copy(update={"constraints": bounds}))


def test_front_of_a_running_search_is_of_trials_that_meet_the_constraints() -> None:
    """The small search's best NMI comes with its best RMSE, so that without constraints one trial is the front."""
    free, bound, hopeless = (
        Engine(policy, SearchState())
        for policy in (constrained(), constrained(prior_rmse="<= 0.2"), constrained(prior_rmse="<= 0.01"))
    )
    for engine in (free, bound, hopeless):
        run(engine)
        assert engine.complete and engine.finished()
        assert engine.front() == Engine(engine.policy, engine.state).front(), "as a resume has it"
    assert all(trial.last and trial.last.metrics["prior_rmse"] <= 0.2 for trial in bound.front())
    assert hopeless.front(), "where none meets them it is the front of all"


def test_report_without_the_metric_of_a_constraint_fails_its_trial() -> None:
    engine = Engine(constrained(nmi_real=">= 0.8"), SearchState())
    trial = engine.propose()
    assert trial is not None
    report = engine.report(trial.number, STEPS[0], {"nmi": 0.5, "prior_rmse": 0.1})
    assert (report.decision.status, report.decision.reason) == ("failed", f"nmi_real is missing at step {STEPS[0]}")
