"""Which categories look alike."""

import numpy as np
import pytest
from numpy.typing import NDArray

from eig_tune.evaluation import merging

Array = NDArray[np.float64]


def one_hot(categories: NDArray[np.int64], count: int) -> Array:
    return np.eye(count)[categories]


def split_class(shares_K: Array, count: int = 6000, seed: int = 0) -> tuple[Array, Array]:
    """Q(c|x) and Q(c|δ(x)): the class of the categories 0 and 1 is given to either of them by chance, in proportion to
    their shares; the others are classes of their own."""
    rng = np.random.default_rng(seed)
    first = rng.choice(len(shares_K), size=count, p=shares_K)
    second = np.where(first < 2, rng.choice(2, size=count, p=shares_K[:2] / shares_K[:2].sum()), first)
    return one_hot(first, len(shares_K)), one_hot(second, len(shares_K))


def test_similarity_is_what_a_loop_computes() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4) / 2, size=4)
    similar = merging.similarity(p)
    for k in range(4):
        for other in range(4):
            direct = 1.0 if k == other else min((p[k, other] * p[other, k] / (p[k, k] * p[other, other])) ** 0.5, 1.0)
            assert similar[k, other] == pytest.approx(direct)


def test_similarity_recovers_that_of_the_choice_model_whatever_its_bias() -> None:
    rng = np.random.default_rng(1)
    eta = rng.uniform(0, 0.9, size=(5, 5))
    eta = np.sqrt(eta * eta.T)
    np.fill_diagonal(eta, 1)
    chosen = eta * rng.uniform(0.01, 1, size=5)
    np.testing.assert_allclose(merging.similarity(chosen / chosen.sum(axis=1, keepdims=True)), eta)


def test_generated_confusion_is_the_mean_of_each_category() -> None:
    q = np.random.default_rng(2).dirichlet(np.ones(3), size=5)
    confusion = merging.generated_confusion(np.array([2, 0, 2, 0, 0]), q)
    np.testing.assert_allclose(confusion, [q[[1, 3, 4]].mean(axis=0), np.zeros(3), q[[0, 2]].mean(axis=0)])


@pytest.mark.parametrize("shares", [[0.25, 0.25, 0.5], [0.05, 0.45, 0.5], [0.02, 0.01, 0.97]])
def test_halves_of_a_class_look_alike_however_frequent(shares: list[float]) -> None:
    q, augmented = split_class(np.array(shares))
    similar = merging.similarity(merging.real_confusion(q, augmented))
    assert similar[0, 1] > 0.8
    assert similar[0, 2] == similar[1, 2] == 0


def test_alike_is_symmetric_within_bounds_and_one_on_the_diagonal() -> None:
    rng = np.random.default_rng(3)
    q, augmented = (rng.dirichlet(np.ones(6) / 5, size=300) for _ in range(2))
    alike = merging.alike(np.arange(6).repeat(20), rng.integers(300, size=(120, 5)), q, augmented)
    np.testing.assert_array_equal(alike, alike.T)
    np.testing.assert_array_equal(np.diag(alike), 1)
    assert alike.min() >= 0 and alike.max() <= 1


def test_categories_look_alike_whose_generated_images_lie_among_images_of_both() -> None:
    """Images of the categories 0 and 1 alike are nearest to real images of either; those of 2 to its own alone."""
    q = one_hot(np.array([0, 1, 0, 1, 2, 2]), 3)
    nearest = np.array([[0, 1], [2, 3], [1, 2], [3, 0], [4, 5], [5, 4]])
    alike = merging.alike(np.array([0, 0, 1, 1, 2, 2]), nearest, q, q)
    np.testing.assert_allclose(alike, np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]))


def test_a_category_that_is_never_given_is_like_no_other() -> None:
    q = one_hot(np.array([0, 0, 1, 1]), 3)
    alike = merging.alike(np.arange(3), np.array([[0, 1], [2, 3], [0, 1]]), q, q)
    np.testing.assert_array_equal(alike, np.eye(3))


def blocks(groups: list[int], inside: float, outside: float = 0.0) -> Array:
    """Categories that look alike by ``inside`` within a group and by ``outside`` else."""
    same = np.equal.outer(groups, groups)
    alike = np.where(same, inside, outside)
    np.fill_diagonal(alike, 1)
    return alike


@pytest.mark.parametrize("groups", [[0, 1, 0, 2, 1, 0], [0, 0, 0], [0, 1, 2, 3]])
def test_groups_of_alike_categories_are_found_with_and_without_their_number(groups: list[int]) -> None:
    alike = blocks(groups, 0.5, 0.01)
    assert merging.merged(alike, max(groups) + 1).tolist() == groups
    assert merging.merged(alike).tolist() == groups


@pytest.mark.parametrize("groups", range(1, 8))
def test_there_are_as_many_groups_as_asked_for_also_where_all_look_alike(groups: int) -> None:
    for alike in (blocks([0] * 7, 0.3), np.eye(7)):
        assert sorted(set(merging.merged(alike, groups).tolist())) == list(range(groups))


def test_more_groups_than_categories_are_the_categories() -> None:
    assert merging.merged(blocks([0, 0, 1], 0.9), 5).tolist() == [0, 1, 2]


def test_groups_are_joined_by_the_mean_over_all_their_pairs() -> None:
    """0, 1 and 2 form a chain: 2 is as alike to 1 as 3 is to 4, but not to 0 at all."""
    alike = np.eye(5)
    for one, other, value in ((0, 1, 0.9), (1, 2, 0.5), (3, 4, 0.4)):
        alike[one, other] = alike[other, one] = value
    assert merging.merged(alike, 3).tolist() == [0, 0, 1, 2, 2]
    assert merging.merged(alike, 2).tolist() == [0, 0, 0, 1, 1]
