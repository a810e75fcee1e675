"""Found against confirmed: the standard error is that of the textbook, and its interval holds what it promises."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy import stats

from eig_tune.hpo.selection_bias import SelectionBias, selection_bias


@dataclass(frozen=True)
class Told:
    """A confirmed trial of which a test says what it has reached."""

    found: dict[str, float]
    confirmed: dict[str, float] = field(default_factory=dict)
    confirmed_deviations: dict[str, float] = field(default_factory=dict)
    second: dict[str, float] = field(default_factory=dict)
    runs: int = 0
    splits: int = 0


def trial(found: list[float], confirmed: list[float], splits: int = 0) -> Told:
    deviation = float(np.std(confirmed, ddof=1)) if len(confirmed) > 1 else 0.0
    return Told(
        {"nmi": float(np.mean(found))},
        {"nmi": float(np.mean(confirmed))},
        {"nmi": deviation},
        {"nmi": found[1]} if len(found) > 1 else {},
        len(confirmed),
        splits,
    )


def bias_of(*trials: Told) -> SelectionBias:
    bias = selection_bias(trials, "nmi")
    assert bias is not None
    return bias


def test_one_trial_found_on_one_seed_is_compared_as_a_single_value_with_a_sample() -> None:
    """SE² = s² (1/k + 1), the textbook's prediction interval of one more value."""
    confirmed = [0.80, 0.86, 0.83, 0.91]
    bias = bias_of(trial([0.95], confirmed))
    expected = np.std(confirmed, ddof=1) * np.sqrt(1 / 4 + 1)
    assert bias.error == pytest.approx(expected) and bias.freedom == 3
    assert bias.difference == pytest.approx(0.95 - 0.85)
    assert bias.interval is not None
    assert bias.interval == pytest.approx(stats.t.interval(0.95, 3, loc=bias.difference, scale=expected))


def test_variance_is_pooled_over_trials_and_a_second_seed_halves_the_share_of_what_was_found() -> None:
    bias = bias_of(trial([0.9, 0.8], [0.8, 0.7, 0.75]), trial([0.95], [0.9, 0.8]))
    pooled = (2 * np.var([0.8, 0.7, 0.75], ddof=1) + np.var([0.9, 0.8], ddof=1)) / 3
    assert bias.error == pytest.approx(np.sqrt(pooled * (1 / 3 + 1 / 2 + 1 / 2 + 1)) / 2) and bias.freedom == 3
    assert [bias.found, bias.confirmed] == pytest.approx([0.9, 0.8]) and bias.trials == 2


def test_one_fresh_seed_each_is_students_paired_test() -> None:
    found, confirmed = [0.9, 0.92, 0.95], [0.88, 0.93, 0.86]
    bias = bias_of(*(trial([f], [c]) for f, c in zip(found, confirmed, strict=True)))
    low, high = stats.ttest_rel(found, confirmed).confidence_interval(0.95)
    assert bias.interval == pytest.approx((low, high))


def test_where_nothing_tells_how_much_seeds_differ_there_is_no_error() -> None:
    assert bias_of(trial([0.9], [0.8])).interval is None
    assert bias_of(trial([0.9], [0.8, 0.7], splits=1)).interval is None
    assert selection_bias([Told({"nmi": 0.9})], "nmi") is None
    assert selection_bias([trial([0.9], [0.8])], "prior_rmse") is None


def test_interval_covers_the_difference_that_there_is() -> None:
    """Two thousand fair draws each: 95 % of intervals hold 0, whatever the numbers of trials and seeds."""
    rng = np.random.default_rng(0)
    for trials, seeds, own in ((1, 2, 1), (1, 3, 2), (3, 3, 2), (3, 1, 1), (5, 2, 1)):
        covered = 0
        for _ in range(2000):
            of_trial = rng.normal(0.9, 0.1, trials)
            drawn = [
                trial(rng.normal(mean, 0.03, own).tolist(), rng.normal(mean, 0.03, seeds).tolist()) for mean in of_trial
            ]
            interval = bias_of(*drawn).interval
            assert interval is not None
            covered += interval[0] <= 0 <= interval[1]
        assert covered / 2000 == pytest.approx(0.95, abs=0.015), (trials, seeds, own)


def test_interval_over_splits_covers_at_least_what_it_promises() -> None:
    """Splits differ more than seeds do, and are the same for all trials."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(2000):
        of_split = rng.normal(0.0, 0.04, 5)
        drawn = []
        for mean in rng.normal(0.9, 0.1, 3):
            found = mean + of_split[0] + rng.normal(0, 0.02, 2)
            confirmed = mean + np.repeat(of_split[1:], 3) + rng.normal(0, 0.02, 12)
            drawn.append(trial(found.tolist(), confirmed.tolist(), splits=4))
        interval = bias_of(*drawn).interval
        assert interval is not None
        covered += interval[0] <= 0 <= interval[1]
    assert covered / 2000 >= 0.94
