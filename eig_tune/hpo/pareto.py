"""Comparing points with several objectives.

Everything works on ``losses_NM``, each of them to be minimised.

Shape suffixes: N points, M objectives.
"""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Array = NDArray[np.float64]


def dominates(first_M: Array, second_M: Array) -> bool:
    """Whether the first point is nowhere worse and somewhere better."""
    return bool(np.all(first_M <= second_M) and np.any(first_M < second_M))


def front(losses_NM: Array) -> NDArray[np.bool_]:
    """Which of the points no other point dominates, shape [N]."""
    return np.asarray(ranks(losses_NM) == 0, dtype=np.bool_)


def ranks(losses_NM: Array) -> NDArray[np.int64]:
    """Non-dominated rank of each point [N], 0 for the front (non-dominated sorting, Deb et al. 2002).

    Points come in lexicographic order, so that none is dominated by a later one. A front that dominates a point is
    dominated, point by point, by all fronts before it: so the first front that does not is found by bisection, and
    that is the point's (Zhang et al. 2015, ENS-BS). Equal points do not dominate each other.
    """
    objectives = losses_NM.shape[1]
    if objectives == 1:
        return np.unique(losses_NM[:, 0], return_inverse=True)[1].astype(np.int64)
    fronts = _FrontsOfTwo() if objectives == 2 else _FrontsOfThree() if objectives == 3 else _FrontsOfMany()
    ascending_N = np.lexsort(losses_NM.T[::-1])
    rank_N: list[int] = []
    before, rank = None, 0
    for point in losses_NM[ascending_N].tolist():
        if point != before:
            rank, before = fronts.add(point), point
        rank_N.append(rank)
    found_N = np.empty(len(losses_NM), dtype=np.int64)
    found_N[ascending_N] = rank_N
    return found_N


class _FrontsOfTwo:
    """Of each front only its lowest second objective matters (Jensen 2003); these rise from front to front."""

    def __init__(self) -> None:
        self._lowest: list[float] = []

    def add(self, point: list[float]) -> int:
        """The rank of a point, which is noted."""
        rank = bisect_right(self._lowest, point[1])
        self._lowest[rank : rank + 1] = [point[1]]
        return rank


class _FrontsOfThree:
    """Of each front only those points matter that no other one beats in second and third objective: a staircase,
    its seconds rising and its thirds falling."""

    def __init__(self) -> None:
        self._seconds: list[list[float]] = []
        self._thirds: list[list[float]] = []

    def add(self, point: list[float]) -> int:
        """The rank of a point, which is noted."""
        _, second, third = point
        rank, beyond = 0, len(self._seconds)
        while rank < beyond:
            middle = (rank + beyond) // 2
            if self._thirds[middle][bisect_right(self._seconds[middle], second) - 1] <= third:
                rank = middle + 1
            else:
                beyond = middle
        self._note(rank, second, third)
        return rank

    def _note(self, rank: int, second: float, third: float) -> None:
        if rank == len(self._seconds):
            self._seconds.append([-math.inf])  # a first stair that is below no point
            self._thirds.append([math.inf])
        seconds, thirds = self._seconds[rank], self._thirds[rank]
        first = last = bisect_left(seconds, second)
        while last < len(seconds) and thirds[last] >= third:
            last += 1
        seconds[first:last], thirds[first:last] = [second], [third]


class _FrontsOfMany:
    """All points of each front."""

    def __init__(self) -> None:
        self._fronts: list[Array] = []

    def add(self, point: list[float]) -> int:
        """The rank of a point, which is noted."""
        new_M = np.array(point)
        rank = bisect_left(self._fronts, True, key=lambda front_NM: not (front_NM <= new_M).all(axis=1).any())
        if rank == len(self._fronts):
            self._fronts.append(new_M[None])
        else:
            self._fronts[rank] = np.vstack([self._fronts[rank], new_M])
        return rank


@dataclass(frozen=True)
class Yardstick:
    """How far points are from a front, with objectives scaled such that all points lie between 0 and 1.

    Attributes:
        low_M: the least of each objective.
        high_M: the greatest.
        front: the scaled points of the front.
    """

    low_M: Array
    high_M: Array
    front: KDTree

    @classmethod
    def of(cls, losses_NM: Array, front_N: NDArray[np.bool_]) -> "Yardstick":
        """That of points of which some are the front."""
        low_M, high_M = losses_NM.min(axis=0), losses_NM.max(axis=0)
        return cls(low_M, high_M, KDTree(_scaled(losses_NM[front_N], low_M, high_M)))

    def covers(self, losses_NM: Array) -> bool:
        """Whether further points would change no scale."""
        return bool((losses_NM >= self.low_M).all() and (losses_NM <= self.high_M).all())

    def measure(self, losses_NM: Array) -> tuple[Array, Array]:
        """Of each point the Euclidean distance to the nearest point of the front, and the sum of its objectives."""
        scaled_NM = _scaled(losses_NM, self.low_M, self.high_M)
        return np.asarray(self.front.query(scaled_NM)[0]), scaled_NM.sum(axis=1)


def _scaled(losses_NM: Array, low_M: Array, high_M: Array) -> Array:
    scaled: Array = (losses_NM - low_M) / np.where(high_M > low_M, high_M - low_M, 1.0)
    return scaled


def order(losses_NM: Array) -> NDArray[np.int64]:
    """Indices from best to worst: by rank, then by distance to the front, then by the sum of objectives, scaled; of
    equal points the first is better."""
    rank_N = ranks(losses_NM)
    distance_N, sum_N = Yardstick.of(losses_NM, rank_N == 0).measure(losses_NM)
    return np.lexsort((sum_N, distance_N, rank_N)).astype(np.int64)
