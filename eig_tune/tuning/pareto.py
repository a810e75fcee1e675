"""Comparing points with several objectives.

Everything works on ``losses_NM``: N points, M objectives, each of them to be minimised.
"""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Array = NDArray[np.float64]


def dominates(first_M: Array, second_M: Array) -> bool:
    """Whether the first point is nowhere worse and somewhere better."""
    return bool(np.all(first_M <= second_M) and np.any(first_M < second_M))


def front(losses_NM: Array) -> NDArray[np.bool_]:
    """Which of the points no other point dominates, shape [N]."""
    if losses_NM.shape[1] <= 2:
        return np.asarray(ranks(losses_NM) == 0, dtype=np.bool_)
    no_worse = (losses_NM[:, None, :] <= losses_NM[None, :, :]).all(axis=2)
    better = (losses_NM[:, None, :] < losses_NM[None, :, :]).any(axis=2)
    dominated_by_NN = np.logical_and(no_worse, better)
    return np.asarray(~dominated_by_NN.any(axis=0), dtype=np.bool_)


def ranks(losses_NM: Array) -> NDArray[np.int64]:
    """Non-dominated rank of each point [N], 0 for the front (non-dominated sorting, Deb et al. 2002)."""
    if losses_NM.shape[1] == 1:
        return np.unique(losses_NM[:, 0], return_inverse=True)[1].astype(np.int64)
    if losses_NM.shape[1] == 2:
        return _ranks_of_two(losses_NM)
    rank_N = np.full(len(losses_NM), -1)
    rank = 0
    while (rank_N < 0).any():
        left = np.flatnonzero(rank_N < 0)
        rank_N[left[front(losses_NM[left])]] = rank
        rank += 1
    return rank_N


def _ranks_of_two(losses_N2: Array) -> NDArray[np.int64]:
    """Ranks for two objectives in O(N log N), after Jensen 2003.

    Points come by rising first objective. Of each front so far, only the lowest second objective matters: it
    dominates the point if it is no higher. These lowest values rise from front to front, so the first front that
    does not dominate the point is found by bisection.
    """
    ascending_N = np.lexsort((losses_N2[:, 1], losses_N2[:, 0]))
    lowest: list[float] = []
    rank_N: list[int] = []
    before, rank = None, 0
    for point in losses_N2[ascending_N].tolist():
        if point != before:  # equal points do not dominate each other
            rank = bisect_right(lowest, point[1])
            lowest[rank : rank + 1] = [point[1]]
            before = point
        rank_N.append(rank)
    found_N = np.empty(len(losses_N2), dtype=np.int64)
    found_N[ascending_N] = rank_N
    return found_N


def normalised(losses_NM: Array) -> Array:
    """Each objective scaled to 0..1 over the points."""
    low, high = losses_NM.min(axis=0), losses_NM.max(axis=0)
    scaled: Array = (losses_NM - low) / np.where(high > low, high - low, 1.0)
    return scaled


def order(losses_NM: Array) -> NDArray[np.int64]:
    """Indices from best to worst: by rank, then by distance to the front, then by the sum of objectives.

    The distance is the Euclidean one to the nearest point of the front, objectives scaled to 0..1.
    """
    rank_N, scaled_NM = ranks(losses_NM), normalised(losses_NM)
    distance_N = np.asarray(KDTree(scaled_NM[rank_N == 0]).query(scaled_NM)[0])
    return np.lexsort((scaled_NM.sum(axis=1), distance_N, rank_N)).astype(np.int64)


def knee(losses_NM: Array) -> int:
    """Index of the front's point nearest to the ideal one, objectives scaled to 0..1 over the front."""
    on_front = np.flatnonzero(front(losses_NM))
    distance_to_ideal = np.linalg.norm(normalised(losses_NM[on_front]), axis=1)
    return int(on_front[distance_to_ideal.argmin()])
