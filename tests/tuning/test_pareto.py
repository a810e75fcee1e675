"""Domination, ranks and order, against the definitions in plain loops."""

import numpy as np
import pytest

from eig_tune.tuning import pareto


def points(objectives: int, seed: int, *, ties: bool) -> pareto.Array:
    losses = np.random.default_rng(seed).random((60, objectives))
    return np.round(losses, 1) if ties else losses


def naive_ranks(losses: pareto.Array) -> list[int]:
    ranks, left, rank = [-1] * len(losses), set(range(len(losses))), 0
    while left:
        front = {i for i in left if not any(pareto.dominates(losses[j], losses[i]) for j in left)}
        for i in front:
            ranks[i] = rank
        left, rank = left - front, rank + 1
    return ranks


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_ranks_and_front_are_the_definition(objectives: int, seed: int, ties: bool) -> None:
    losses = points(objectives, seed, ties=ties)
    assert pareto.ranks(losses).tolist() == naive_ranks(losses)
    assert pareto.front(losses).tolist() == [rank == 0 for rank in naive_ranks(losses)]


def test_order_is_by_rank_then_by_distance_to_the_front() -> None:
    losses = points(2, 0, ties=False)
    order = pareto.order(losses)
    scaled = (losses - losses.min(axis=0)) / (losses.max(axis=0) - losses.min(axis=0))
    front = scaled[pareto.front(losses)]
    ranks = pareto.ranks(losses)[order]
    distances = np.array([min(float(np.linalg.norm(point - other)) for other in front) for point in scaled])[order]
    assert (np.diff(ranks) >= 0).all()
    assert all((np.diff(distances[ranks == rank]) >= 0).all() for rank in set(ranks.tolist()))


def test_knee_is_the_point_of_the_front_nearest_to_the_ideal_one() -> None:
    assert pareto.knee(np.array([[0.0, 1.0], [0.2, 0.2], [1.0, 0.0], [0.9, 0.9]])) == 1
    assert pareto.knee(np.array([[3.0, 4.0]])) == 0
