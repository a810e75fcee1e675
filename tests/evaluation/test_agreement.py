"""Agreement of seeds, its standard error, and the K that it recommends."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from eig_tune.evaluation import agreement

Array = NDArray[np.float64]


def runs_of(classes: NDArray[np.int64], categories: int, noise: float, runs: int, seed: int) -> list[NDArray[np.int64]]:
    """Runs that give images the categories of their classes: each splits classes or joins them in a way of its own, and
    gives a share ``noise`` of the images any category."""
    found = []
    for run in range(runs):
        rng = np.random.default_rng([seed, categories, run])
        count = int(classes.max()) + 1
        if categories <= count:
            own = rng.permutation(np.arange(count) % categories)[classes]
        else:
            own = classes + count * rng.integers(-(-(categories - count) // count) + 1, size=len(classes))
        found.append(np.where(rng.random(len(classes)) < noise, rng.integers(categories, size=len(classes)), own))
    return found


def table(mean: float, runs: int = 3) -> Array:
    return np.full((runs, runs), mean) + (1 - mean) * np.eye(runs)


def test_agreement_is_symmetric_and_does_not_depend_on_the_numbers_of_categories() -> None:
    first = np.random.default_rng(0).integers(4, size=300)
    renumbered, other = np.array([2, 0, 3, 1])[first], np.random.default_rng(1).integers(4, size=300)
    pairs = agreement.pairwise_agreement([first, renumbered, other])
    np.testing.assert_array_equal(pairs, pairs.T)
    assert pairs[0, 1] == pytest.approx(1)
    assert abs(pairs[0, 2]) < 0.03


def test_runs_that_give_all_images_one_category_agree_with_none() -> None:
    same = np.zeros(100, dtype=np.int64)
    np.testing.assert_array_equal(agreement.pairwise_agreement([same, same, np.arange(100) % 2]), np.eye(3))


def test_mean_is_over_pairs_of_different_runs() -> None:
    pairs = np.array([[1, 0.2, 0.4], [0.2, 1, 0.9], [0.4, 0.9, 1]])
    assert agreement.mean_agreement(pairs) == pytest.approx(0.5)
    assert math.isnan(agreement.mean_agreement(np.ones((1, 1))))


def test_error_is_the_jackknife_over_runs() -> None:
    pairs = np.array([[1, 0.2, 0.4], [0.2, 1, 0.9], [0.4, 0.9, 1]])
    without = np.array([0.9, 0.4, 0.2])  # the first run, the second, the third
    assert agreement.standard_error(pairs) == pytest.approx(np.sqrt(2 / 3 * ((without - without.mean()) ** 2).sum()))
    assert math.isnan(agreement.standard_error(np.ones((2, 2))))


def test_error_is_about_the_spread_of_the_mean_over_many_draws_of_runs() -> None:
    means, errors = [], []
    for draw in range(300):
        quality = np.random.default_rng(draw).uniform(0.5, 1, size=6)
        pairs = np.outer(quality, quality)
        means.append(agreement.mean_agreement(pairs))
        errors.append(agreement.standard_error(pairs))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(means), rel=0.2)


@pytest.mark.parametrize(
    ("means", "errors", "expected"),
    [
        ({2: 0.9, 3: 0.5, 5: 0.7, 8: 0.6}, {2: 0.0, 3: 0.0, 5: 0.0, 8: 0.0}, 5),
        ({2: 0.1, 3: 0.8, 5: 0.7, 8: 0.85, 10: 0.6}, {2: 0.0, 3: 0.0, 5: 0.0, 8: 0.06, 10: 0.0}, 3),
        ({2: 0.1, 3: 0.8, 5: 0.7, 8: 0.85, 10: 0.6}, {2: 0.0, 3: 0.9, 5: 0.0, 8: 0.04, 10: 0.0}, 8),
        ({2: 0.1, 3: 0.8, 5: 0.7, 8: 0.85, 10: 0.6}, {2: 0.0, 3: 0.0, 5: 0.0, 8: math.nan, 10: 0.0}, 8),
        ({8: 0.5, 2: 0.2, 5: 0.8}, {2: 0.0, 5: 0.0, 8: 0.0}, 5),
        ({2: 0.1, 3: 0.5, 5: 0.5, 8: 0.1}, {2: 0.0, 3: 0.0, 5: 0.0, 8: 0.0}, 3),
        ({2: 0.1, 3: math.nan, 5: 0.5, 8: 0.1}, {2: 0.0, 3: math.nan, 5: 0.0, 8: 0.0}, 5),
    ],
)
def test_recommended_is_the_smallest_peak_within_the_error_of_the_highest(
    means: dict[int, float], errors: dict[int, float], expected: int
) -> None:
    assert agreement.recommended(means, errors) == expected


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({2: 0.9, 3: 0.5}, 2),
        ({2: 0.9, 3: 0.8, 5: 0.7}, 2),
        ({2: 0.1, 3: 0.5, 5: 0.7}, 5),
        ({2: math.nan, 3: 0.1}, 3),
        ({2: math.nan}, None),
        ({}, None),
    ],
)
def test_without_a_peak_the_highest_is_recommended(means: dict[int, float], expected: int | None) -> None:
    assert agreement.recommended(means, dict.fromkeys(means, 0.5)) == expected


def test_certainty_is_one_where_runs_leave_no_doubt_and_shares_sum_to_one() -> None:
    assert agreement.certainty({2: table(0.3), 3: table(0.9), 5: table(0.5)}) == {2: 0, 3: pytest.approx(1), 5: 0}
    rng = np.random.default_rng(0)
    doubtful = {k: table(0.7) + 0.2 * (noise + noise.T) for k, noise in ((k, rng.random((3, 3))) for k in (2, 3, 5))}
    shares = agreement.certainty(doubtful, resamples=500)
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares.values()) < 1
    assert shares == agreement.certainty(doubtful, resamples=500), "it is no other number when asked again"


def test_certainty_leaves_out_a_number_with_fewer_than_two_runs() -> None:
    assert agreement.certainty({2: np.ones((1, 1)), 3: table(0.5), 5: np.ones((0, 0))}) == {3: pytest.approx(1)}
    assert agreement.certainty({}) == {}


@pytest.mark.parametrize("seed", range(3))
def test_classes_are_found_among_other_numbers(seed: int) -> None:
    classes = np.random.default_rng(seed).choice(4, p=[0.4, 0.3, 0.2, 0.1], size=1000)
    found = {
        k: agreement.pairwise_agreement(runs_of(classes, k, noise=0.1, runs=4, seed=seed)) for k in (2, 3, 4, 8, 16)
    }
    means = {k: agreement.mean_agreement(pairs) for k, pairs in found.items()}
    errors = {k: agreement.standard_error(pairs) for k, pairs in found.items()}
    assert agreement.recommended(means, errors) == 4
    assert agreement.certainty(found)[4] > 0.9
