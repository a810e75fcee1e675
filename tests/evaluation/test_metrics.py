"""The metrics against scikit-learn, SciPy and loops."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import normalized_mutual_info_score

from eig_tune.evaluation import metrics

Array = NDArray[np.float64]
SHAPES = [(10, 10), (4, 10), (15, 10), (2, 2), (3, 1), (1, 3)]


def random_table(seed: int, shape: tuple[int, int]) -> Array:
    """Counts with many zeros, so that columns (never rows) may be empty and classes are shared."""
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 50, size=shape) * (rng.random(shape) < 0.4)
    table[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] += 1
    return table.astype(np.float64)


def labels_of(table: Array) -> tuple[list[int], list[int]]:
    """The pairs that a table counts, one by one."""
    pairs = [(k, c) for (k, c), count in np.ndenumerate(table) for _ in range(int(count))]
    return [k for k, _ in pairs], [c for _, c in pairs]


def naive_prior_rmse(table: Array, prior: Array, truth: Array) -> float:
    learned = [0.0] * len(truth)
    for k, row in enumerate(table.tolist()):
        learned[row.index(max(row))] += prior[k]
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(learned, truth.tolist(), strict=True)) / len(truth))


def random_distribution(seed: int, size: int) -> Array:
    return np.random.default_rng(seed).dirichlet(np.ones(size))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_nmi_is_that_of_scikit_learn(seed: int, shape: tuple[int, int]) -> None:
    table = random_table(seed, shape)
    assert metrics.nmi(table) == pytest.approx(normalized_mutual_info_score(*labels_of(table)), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_average_entropy_is_the_mean_of_scipy_entropies(seed: int, shape: tuple[int, int]) -> None:
    table = random_table(seed, shape)
    rows = [float(scipy_entropy(row)) for row in table]
    columns = [float(scipy_entropy(column)) if column.sum() else math.log(len(table)) for column in table.T]
    assert metrics.average_entropy(table) == pytest.approx(np.mean(rows + columns), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_prior_rmse_is_that_of_a_loop(seed: int, shape: tuple[int, int]) -> None:
    table = random_table(seed, shape)
    prior, truth = random_distribution(seed, shape[0]), random_distribution(seed + 1, shape[1])
    assert metrics.prior_rmse(table, prior, truth) == pytest.approx(naive_prior_rmse(table, prior, truth), abs=1e-12)


def test_perfect_table_has_the_best_of_every_metric() -> None:
    order = [3, 1, 0, 2]
    table = 100 * np.eye(4)[order]
    truth = np.array([0.1, 0.2, 0.3, 0.4])
    assert metrics.nmi(table) == pytest.approx(1)
    assert metrics.average_entropy(table) == 0
    assert metrics.prior_rmse(table, truth[order], truth) == pytest.approx(0)
    assert metrics.prior_rmse(table, truth, truth) > 0.1, "the order of the categories must matter"


def test_model_that_makes_one_class_is_reported_from_a_good_one() -> None:
    table = np.zeros((4, 4))
    table[:, 2] = 100
    assert metrics.nmi(table) == 0
    # Rows 0; the full column and, by definition, the three empty ones are uniform over the categories.
    assert metrics.average_entropy(table) == pytest.approx(math.log(4) / 2)
    truth = np.array([0.1, 0.2, 0.3, 0.4])
    expected = math.sqrt((0.1**2 + 0.2**2 + 0.7**2 + 0.4**2) / 4)
    assert metrics.prior_rmse(table, np.full(4, 0.25), truth) == pytest.approx(expected)


def test_uninformative_table_has_the_worst_nmi_and_entropy() -> None:
    table = np.full((5, 5), 20.0)
    assert metrics.nmi(table) == pytest.approx(0, abs=1e-12)
    assert metrics.average_entropy(table) == pytest.approx(math.log(5))


def test_priors_of_categories_that_share_a_class_add_up() -> None:
    table = np.array([[9.0, 1, 0], [8, 2, 0], [0, 1, 9], [3, 7, 0]])
    prior = np.array([0.1, 0.2, 0.4, 0.3])
    assert metrics.class_of_category(table).tolist() == [0, 0, 2, 1]
    assert metrics.prior_rmse(table, prior, np.array([0.3, 0.3, 0.4])) == pytest.approx(0)


def test_metrics_do_not_depend_on_how_many_images_were_made() -> None:
    table = random_table(3, (10, 10))
    prior, truth = random_distribution(0, 10), random_distribution(1, 10)
    assert metrics.nmi(7 * table) == pytest.approx(metrics.nmi(table))
    assert metrics.average_entropy(7 * table) == pytest.approx(metrics.average_entropy(table))
    assert metrics.prior_rmse(7 * table, prior, truth) == metrics.prior_rmse(table, prior, truth)


def test_table_counts_every_pair() -> None:
    categories, classes = np.array([0, 0, 2, 2, 2]), np.array([1, 1, 0, 3, 1])
    expected = [[0, 2, 0, 0], [0, 0, 0, 0], [1, 1, 0, 1]]
    np.testing.assert_array_equal(metrics.category_table(categories, classes, (3, 4)), expected)


def test_q_entropy_and_information_are_those_of_scipy() -> None:
    q = np.random.default_rng(0).dirichlet(np.ones(6), size=50)
    mean = np.mean([scipy_entropy(row) for row in q])
    assert metrics.q_entropy(q) == pytest.approx(mean)
    assert metrics.q_mutual_information(q) == pytest.approx(scipy_entropy(q.mean(axis=0)) - mean)


def test_q_that_is_sure_and_even_has_all_the_information() -> None:
    q = np.eye(4)[[0, 1, 2, 3, 0, 1, 2, 3]]
    assert metrics.q_entropy(q) == 0
    assert metrics.q_mutual_information(q) == pytest.approx(math.log(4))


@pytest.mark.parametrize("q", [np.full((9, 4), 0.25), np.eye(4)[[1] * 9]])
def test_q_that_says_the_same_of_every_image_has_no_information(q: Array) -> None:
    assert metrics.q_mutual_information(q) == pytest.approx(0)


def test_total_variation_is_the_share_that_would_have_to_move() -> None:
    assert metrics.total_variation(np.array([0.5, 0.5, 0]), np.array([0, 0.5, 0.5])) == pytest.approx(0.5)
    assert metrics.total_variation(np.array([1.0, 0]), np.array([0.0, 1])) == 1
    assert metrics.total_variation(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == 0


def test_agreement_is_the_share_of_equal_entries() -> None:
    assert metrics.agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0])) == 0.5
