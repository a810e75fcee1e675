"""Who is confirmed, what that says, and how `best` goes by it."""

import numpy as np
import pytest

from eig_tune.tracking.reader import TrackedSearch, TrackedTrial
from eig_tune.tuning.confirmation import Confirmed, candidates, optimism, summaries
from eig_tune.tuning.ledger import Report, Trial
from eig_tune.tuning.results import choose

OBJECTIVES = {"nmi": "maximize", "prior_rmse": "minimize"}


def finished(number: int, nmi: float, prior_rmse: float, **values: int) -> Trial:
    report = Report(100, {"nmi": nmi, "prior_rmse": prior_rmse}, 0.0, "finished", "")
    return Trial(number, values, 0.0, "finished", reports={100: report})


def test_front_is_confirmed_before_what_it_dominates() -> None:
    trials = [
        finished(0, 0.5, 0.50), finished(1, 0.9, 0.30), finished(2, 0.7, 0.10), finished(3, 0.89, 0.31),
        finished(4, 0.1, 0.05),
    ]  # fmt: skip
    assert [trial.number for trial in candidates(trials, OBJECTIVES, 3)] == [2, 1, 4]
    assert [trial.number for trial in candidates(trials, OBJECTIVES, 9)] == [2, 1, 4, 3, 0]


def test_nothing_finished_or_wanted_is_nothing_to_confirm() -> None:
    assert candidates([], OBJECTIVES, 3) == []
    assert candidates([finished(0, 0.5, 0.5)], OBJECTIVES, 0) == []


def test_summary_is_numpys_mean_and_deviation() -> None:
    runs = [finished(n, nmi, 0.1, trial=7, seed=n) for n, nmi in enumerate([0.8, 0.9, 0.7])]
    failed = Trial(3, {"trial": 7, "seed": 3}, 0.0, "failed")
    (reached,) = summaries({7: finished(7, 0.95, 0.1)}, [*runs, failed, finished(9, 0.1, 0.1, trial=8, seed=0)])
    assert (reached.trial, reached.seeds) == (7, 3)
    assert reached.means["nmi"] == pytest.approx(0.8)
    assert reached.deviations["nmi"] == pytest.approx(np.std([0.8, 0.9, 0.7], ddof=1))
    assert optimism([reached], {7: finished(7, 0.95, 0.1)}, "nmi") == pytest.approx(0.15)


def tracked(number: int, nmi: float, confirmed: float | None) -> TrackedTrial:
    metrics = {"nmi": nmi, "prior_rmse": 0.1}
    if confirmed is not None:
        reached = Confirmed(number, 3, {"nmi": confirmed, "prior_rmse": 0.1}, {"nmi": 0.02, "prior_rmse": 0.01})
        metrics |= reached.as_metrics()
    return TrackedTrial(number, f"run{number}", "finished", "", {}, metrics)


def test_best_goes_by_what_was_confirmed() -> None:
    found = TrackedSearch(
        "s", OBJECTIVES, (tracked(0, 0.99, None), tracked(1, 0.95, 0.80), tracked(2, 0.93, 0.90), tracked(3, 0.5, 0.6))
    )
    eligible = found.eligible()
    chosen = eligible[choose([trial.judged for trial in eligible], OBJECTIVES, "nmi")]
    assert chosen.number == 2
    assert chosen.confirmed == {"nmi": 0.90, "prior_rmse": 0.1, "seeds": 3.0}
    assert chosen.confirmed_deviations == {"nmi": 0.02, "prior_rmse": 0.01}
    assert chosen.found == {"nmi": 0.93, "prior_rmse": 0.1}


def test_without_confirmation_best_goes_by_what_was_found() -> None:
    found = TrackedSearch("s", OBJECTIVES, (tracked(0, 0.99, None), tracked(1, 0.95, None)))
    assert [trial.number for trial in found.eligible()] == [0, 1]
    assert found.eligible()[0].judged["nmi"] == 0.99
