"""Successive halving by itself: which trial is promoted, paused or unpromotable."""

from collections.abc import Sequence

import pytest

from eig_tune.hpo.asha import SuccessiveHalving


def halving_after(losses: Sequence[float], rungs: Sequence[int] = (10,), num_trials: int = 6) -> SuccessiveHalving:
    """Trials 0, 1, … that all wait at the first rung."""
    halving = SuccessiveHalving(rungs, 3, num_trials)
    for trial, loss in enumerate(losses):
        assert halving.enter(trial, rungs[0], (loss,)) == rungs[0]
        halving.pause(trial)
    return halving


def test_a_rung_promotes_the_best_third_and_no_more() -> None:
    halving = halving_after([5.0, 4.0])
    assert halving.promote() is None, "of two trials no third is the best"
    halving = halving_after([5.0, 4.0, 6.0, 1.0, 2.0, 3.0])
    assert [halving.promote() for _ in range(3)] == [3, 4, None]


def test_trial_need_not_wait_when_it_would_be_the_next_to_go_on() -> None:
    halving = halving_after([5.0, 4.0])
    assert halving.enter(2, 10, (1.0,)) == 10 and halving.is_promotable(2, 10)
    assert halving.promote() is None, "it has taken the only place"
    halving = halving_after([5.0, 4.0])
    assert halving.enter(2, 10, (6.0,)) == 10 and not halving.is_promotable(2, 10)
    assert halving.promote() == 1, "the one that was there before is better"


def test_highest_rung_comes_first() -> None:
    halving = halving_after([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], rungs=(10, 30), num_trials=12)
    for trial in (0, 1, 2):
        assert halving.promote() == trial
        halving.enter(trial, 30, (float(-trial),))
        halving.pause(trial)
    assert halving.enter(9, 10, (0.0,)) == 10
    halving.pause(9)
    assert [halving.promote() for _ in range(3)] == [2, 9, None]


def test_trial_is_unpromotable_when_more_are_better_than_will_ever_go_on() -> None:
    assert halving_after([5.0, 4.0, 6.0, 1.0, 7.0], num_trials=9).unpromotable().keys() == {2, 4}
    assert halving_after([5.0, 4.0, 6.0, 1.0, 7.0], num_trials=15).unpromotable() == {}


def test_the_best_is_promoted_by_force_when_no_other_is() -> None:
    halving = halving_after([5.0, 4.0])
    assert [halving.promote(force=True) for _ in range(3)] == [1, 0, None]


def test_later_brackets_are_safe_at_the_first_rungs_and_compared_all_the_same() -> None:
    halving = SuccessiveHalving([10, 30], reduction_factor=3, num_trials=130, brackets=3)
    trials = range(130)
    of_bracket = [[t for t in trials if halving.bracket(t) == bracket] for bracket in range(3)]
    assert [len(found) for found in of_bracket] == pytest.approx([90, 30, 10], abs=2)  # shares 9 : 3 : 1
    for rung in (10, 30):
        for trial in trials:
            halving.enter(trial, rung, (float(trial),))  # each is worse than all before it
    to_pause = {rung: [t for t in trials if not halving.is_promotable(t, rung)] for rung in (10, 30)}
    worst = [t for t in trials if t >= len(trials) // 3]
    assert to_pause[10] == [t for t in worst if halving.bracket(t) == 0]
    assert to_pause[30] == [t for t in worst if halving.bracket(t) <= 1]
