"""How large a search may be that shall take a given time."""

import pytest

from eig_tune.config.asha import check_budget, rungs
from eig_tune.hpo.budget import Budget, budgets, largest_within


def work(budget: Budget) -> float:
    """Steps of a search without early stopping, in place of seconds."""
    return (budget.trials + budget.finalists + budget.top * budget.seeds) * budget.steps


@pytest.mark.parametrize("usual", [30, 500, 1500, 3000, 50_000])
def test_every_budget_has_rungs_that_fit(usual: int) -> None:
    for budget in budgets(usual):
        train = {"steps": budget.steps, "report_every": budget.report_every}
        assert check_budget({"train": train, "asha": {"grace": budget.grace}}, searching=True) == []
        assert rungs(budget.grace, 3, budget.steps)[0] == budget.grace < budget.steps
        assert budget.steps % budget.report_every == 0


def test_more_time_is_never_a_smaller_search() -> None:
    sizes = [largest_within(seconds, 1500, work) for seconds in range(1, 2_000_000, 30_000)]
    assert [takes for _, takes in sizes] == sorted(takes for _, takes in sizes)
    assert [size.trials for size, _ in sizes] == sorted(size.trials for size, _ in sizes)
    assert [size.steps for size, _ in sizes] == sorted(size.steps for size, _ in sizes)


@pytest.mark.parametrize("seconds", [20_000, 60_000, 300_000])
def test_time_is_kept_and_used(seconds: int) -> None:
    budget, takes = largest_within(seconds, 1500, work)
    assert takes == work(budget)
    assert 0.6 * seconds < takes <= seconds


def test_smallest_one_where_there_is_too_little_time() -> None:
    budget, takes = largest_within(1, 1500, work)
    assert budget == next(iter(budgets(1500))) and takes > 1
    assert budget.steps >= 0.4 * 1500, "shorter trials tell nothing"


def test_an_hour_for_sixteen_usual_trials_has_them_whole() -> None:
    usual = next(budget for budget in budgets(1500) if budget.trials == 16 and budget.steps == 1500)
    assert largest_within(work(usual) + 1, 1500, work)[0].steps == 1500
