"""What a plan says beforehand is what a search does."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.plan import Plan, make_plan
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.simulation import Reported, simulate, simulate_search

LEVELS = (500, 1500, 4500)


def spec(trials: int, **changes: Any) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 4500, "report_every": 500},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "objectives": {"prior_rmse": "minimize"},
        "sampler": "random",
        "trials": trials,
        **changes,
    }
    return parse_spec(document, "test")


def searched(space: SearchSpec, slots: int, seed: int, file: Path) -> list[Reported]:
    """What the engine itself does with trials of that luck."""
    luck = random.Random(seed)
    losses = [luck.random() for _ in range(space.trials)]
    with EventLog(file) as event_log:
        engine = Engine(SearchPolicy(space), event_log)
        reports = simulate_search(engine, lambda trial, step: {"prior_rmse": losses[trial]}, LEVELS, slots)
        return list(reports)


@pytest.mark.parametrize(("trials", "slots"), [(1, 1), (16, 1), (16, 8), (40, 4)])
@pytest.mark.parametrize("brackets", [1, 2])
def test_plan_is_the_mean_of_what_searches_do(tmp_path: Path, trials: int, slots: int, brackets: int) -> None:
    space = spec(trials, asha={"grace": 500, "brackets": brackets}, confirm={"top": 0})
    assert [*space.rungs(), 4500] == list(LEVELS)
    plan = make_plan(space, slots)
    searches = [searched(space, slots, seed, tmp_path / f"{seed}.jsonl") for seed in range(8)]
    reaching = Counter(report.step for search in searches for report in search)
    assert plan.reaching == {level: max(1, round(reaching[level] / 8)) for level in LEVELS}
    assert plan.search_steps == pytest.approx(sum(search[-1].spent for search in searches) / 8, abs=1)
    assert plan.duration == pytest.approx(sum(search[-1].now for search in searches) / 8, abs=1)


def test_trials_take_turns_in_the_slots() -> None:
    """Three trials in two slots, of which the second is stopped at its first report."""
    waiting = [0, 1, 2]
    reports = simulate(
        lambda: waiting.pop(0) if waiting else None, lambda trial, step: trial != 1 and step < 30, (10, 30), slots=2
    )
    assert [tuple(report) for report in reports] == [
        (10, 10, 0, 10),
        (10, 20, 1, 10),
        (20, 30, 2, 10),
        (30, 50, 0, 30),
        (40, 70, 2, 30),
    ]


def test_more_slots_are_quicker_and_less_in_use() -> None:
    plans = [make_plan(spec(32), slots) for slots in (1, 2, 4, 8, 16, 32)]
    assert [plan.duration for plan in plans] == sorted((plan.duration for plan in plans), reverse=True)
    assert plans[0].busy == 1.0
    assert [plan.busy for plan in plans] == sorted((plan.busy for plan in plans), reverse=True)
    assert plans[-1].duration >= 2 * 4500, "the longest trial, and then a confirmation"


def test_large_search_is_planned_from_smaller_ones() -> None:
    small, large = make_plan(spec(200), 4), make_plan(spec(2000), 4)
    assert large.search_steps == pytest.approx(10 * small.search_steps, rel=1e-3)
    assert large.confirming_steps == small.confirming_steps


def test_confirmation_is_part_of_the_cost() -> None:
    without = make_plan(spec(16, confirm={"top": 0}), 4)
    plan = make_plan(spec(16, confirm={"finalists": 0, "top": 1, "seeds": 5}), 4)
    assert without.confirming_steps == 0 and plan.confirming_steps == 5 * 4500
    assert plan.total_steps == without.total_steps + 5 * 4500
    assert without.duration + 5 * 4500 / 4 <= plan.duration < without.duration + 2 * 4500, "four at once, and then one"


def test_second_seeds_and_splits_are_part_of_the_cost() -> None:
    without = make_plan(spec(40, confirm={"top": 0}), 4)
    assert without.reaching[4500] >= 3
    plan = make_plan(spec(40, confirm={"finalists": 3, "top": 1, "seeds": 3, "splits": [0, 1]}), 4)
    assert plan.total_steps == without.total_steps + (3 + 3 * 2) * 4500
    after = (1 + 2) * 4500  # three at once, then four, then two, if the first three began when all trials have ended
    assert plan.total_steps / 4 <= plan.duration < without.duration + after


def test_no_more_are_confirmed_than_finish() -> None:
    assert make_plan(spec(1), 1) == Plan(1, {500: 1, 1500: 1, 4500: 1}, 4500, 3 * 4500, 4 * 4500)
