"""Points in the order of :func:`eig_tune.hpo.pareto.order`, kept as they come one by one.

Sorting ten thousand points takes 9 ms; adding one takes a fraction of a millisecond. A new point changes the ranks of
such points only as it dominates, level by level (Li et al. 2017, ENLU), and distances only where it enters the front or
lies outside the range of all others; then everything is sorted anew.

Shape suffixes: N points, M objectives, S and D some of the points.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eig_tune.hpo import pareto

Indices = NDArray[np.int64]

_MOST_AT_ONCE = 8  # points that are added one by one in less time than all are sorted
_MOST_LEVELS = 300  # ranks that are changed one by one in less time than all are sorted


class Ordered:
    """By what points are sorted: rank, distance to the front, sum of objectives, and their own order."""

    def __init__(self) -> None:
        self._losses_MN = np.zeros((0, 0))
        self._rank_N = np.zeros(0)
        self._distance_N = np.zeros(0)
        self._sum_N = np.zeros(0)
        self._yardstick: pareto.Yardstick | None = None

    def catch_up(self, losses: Sequence[tuple[float, ...]]) -> None:
        """Take in points: those that are known already, and perhaps more behind them."""
        known = len(self._rank_N)
        if known == len(losses):
            return
        few = known and len(losses) - known <= _MOST_AT_ONCE
        if not (few and all(self._add(np.array([losses[index]])) for index in range(known, len(losses)))):
            self._sort(np.array(losses))

    def place(self, index: int) -> int:
        """How many points are better than that of an index, and one."""
        rank = self._rank_N[index]
        same = np.flatnonzero(self._rank_N == rank)
        distance, total = self._distance_N[index], self._sum_N[index]
        nearer, as_near = self._distance_N[same] < distance, self._distance_N[same] == distance
        less = self._sum_N[same] < total
        earlier = (self._sum_N[same] == total) & (same < index)
        return int((self._rank_N < rank).sum() + (nearer | (as_near & (less | earlier))).sum()) + 1

    def best(self, among: Indices) -> int:
        """The index of the best point among some, of which there must be one."""
        for key_N in (self._rank_N, self._distance_N, self._sum_N):
            among = among[key_N[among] == key_N[among].min()]
        return int(among.min())

    def worst(self, among: Indices) -> int:
        """The index of the worst point among some, of which there must be one."""
        for key_N in (self._rank_N, self._distance_N, self._sum_N):
            among = among[key_N[among] == key_N[among].max()]
        return int(among.max())

    def _sort(self, losses_NM: pareto.Array) -> None:
        self._losses_MN = np.ascontiguousarray(losses_NM.T)
        if losses_NM.shape[1] == 1:
            # Any number that rises with the loss is as good as the rank, and no two points differ in anything else.
            self._rank_N = losses_NM[:, 0]
            self._distance_N = self._sum_N = np.zeros(len(losses_NM))
            return
        self._rank_N = pareto.ranks(losses_NM).astype(np.float64)
        self._yardstick = pareto.Yardstick.of(losses_NM, self._rank_N == 0)
        self._distance_N, self._sum_N = self._yardstick.measure(losses_NM)

    def _add(self, losses_1M: pareto.Array) -> bool:
        """Take in one point more; False if everything has to be sorted instead."""
        if losses_1M.shape[1] == 1:
            self._append(losses_1M, losses_1M[0, 0], np.zeros(1), np.zeros(1))
            return True
        assert self._yardstick is not None
        if not self._yardstick.covers(losses_1M):
            return False
        losses_M1 = losses_1M.T
        equal_N = (self._losses_MN == losses_M1).all(axis=0)
        above_N = (self._losses_MN <= losses_M1).all(axis=0) & ~equal_N
        if not above_N.any():
            return False  # it is on the front
        rank = self._rank_N[above_N].max() + 1.0
        below_N = (self._losses_MN >= losses_M1).all(axis=0) & ~equal_N
        if not equal_N.any() and not self._move_down(losses_M1, rank, np.flatnonzero(below_N)):
            return False
        self._append(losses_1M, rank, *self._yardstick.measure(losses_1M))
        return True

    def _append(self, losses_1M: pareto.Array, rank: float, distance_1: pareto.Array, sum_1: pareto.Array) -> None:
        self._losses_MN = np.concatenate([self._losses_MN, losses_1M.T], axis=1)
        self._rank_N = np.append(self._rank_N, rank)
        self._distance_N = np.concatenate([self._distance_N, distance_1])
        self._sum_N = np.concatenate([self._sum_N, sum_1])

    def _move_down(self, losses_M1: pareto.Array, rank: float, below_D: Indices) -> bool:
        """Change the ranks of the points that a new one of ``rank`` dominates; False if that takes too long."""
        below_D = below_D[np.argsort(self._rank_N[below_D], kind="stable")]
        ranks_D = self._rank_N[below_D]
        moving_MS, moved = losses_M1, list[Indices]()
        while moving_MS.size:
            level_D = below_D[np.searchsorted(ranks_D, rank) : np.searchsorted(ranks_D, rank, side="right")]
            losses_MD = self._losses_MN[:, level_D]
            moved.append(level_D[(moving_MS[:, :, None] <= losses_MD[:, None]).all(axis=0).any(axis=0)])
            if len(moved) > _MOST_LEVELS:
                return False
            moving_MS, rank = self._losses_MN[:, moved[-1]], rank + 1
        self._rank_N[np.concatenate(moved)] += 1
        return True
