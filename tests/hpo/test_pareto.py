"""Domination, ranks and order, against the definitions in plain loops."""

import timeit
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from eig_tune.hpo import pareto


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
@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
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


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(20))
def test_few_values_with_duplicates_are_ranked_as_defined(objectives: int, seed: int) -> None:
    losses = np.random.default_rng(seed).integers(-2, 2, (40, objectives)).astype(float)
    assert pareto.ranks(losses).tolist() == naive_ranks(losses)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_no_points_and_one_point_have_ranks(objectives: int) -> None:
    assert pareto.ranks(np.empty((0, objectives))).tolist() == []
    assert pareto.ranks(np.zeros((1, objectives))).tolist() == [0]


@pytest.mark.parametrize("shape", ["random", "all alike", "one front"])
@pytest.mark.parametrize("rank", [pareto.ranks, pareto.order, pareto.front])
def test_three_objectives_take_at_most_five_times_as_long_as_two(
    rank: Callable[[pareto.Array], object], shape: str
) -> None:
    """Of a thousand trials: this is done at every report. The best of many runs, as the machine has other work."""
    random = np.random.default_rng(0)
    losses = random.random((1000, 3))
    if shape == "all alike":
        losses = losses[:, :1] + 0.05 * random.standard_normal((1000, 3))
    if shape == "one front":
        losses[:, 0] = -losses[:, 1:].sum(axis=1)
    two = np.column_stack([losses[:, 1], -losses[:, 1]]) if shape == "one front" else losses[:, :2]
    took = [[timeit.timeit(partial(rank, of), number=1) for of in (losses, two)] for _ in range(25)]  # in turns
    of_three, of_two = np.min(took, axis=0)
    assert of_three < 5 * of_two
