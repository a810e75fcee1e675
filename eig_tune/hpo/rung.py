"""One rung: what its trials have reached, in order from best to worst, and which of them are paused there."""

import numpy as np
from numpy.typing import NDArray

from eig_tune.hpo.ordered import Ordered


class Rung:
    """The trials that have entered a rung. Places are counted from 1; the order is that of :mod:`.ordered`."""

    def __init__(self) -> None:
        self._trials: list[int] = []
        self._index: dict[int, int] = {}
        self._losses: list[tuple[float, ...]] = []
        self._first_equal: dict[tuple[float, ...], int] = {}
        self._paused = np.zeros(0, dtype=np.bool_)
        self._num_paused = 0
        self._ordered = Ordered()

    def __len__(self) -> int:
        return len(self._trials)

    def __contains__(self, trial: int) -> bool:
        return trial in self._index

    def enter(self, trial: int, losses: tuple[float, ...]) -> None:
        """``trial`` has reached ``losses`` here."""
        self._index[trial] = len(self._trials)
        self._trials.append(trial)
        self._losses.append(losses)
        self._first_equal.setdefault(losses, self._index[trial])
        if len(self._paused) < len(self._trials):
            self._paused = np.concatenate([self._paused, np.zeros(len(self._trials), dtype=np.bool_)])

    def pause(self, trial: int) -> None:
        """``trial``, which has entered, waits here."""
        self._mark(trial, True)

    def remove(self, trial: int) -> None:
        """``trial`` waits here no more, if it did."""
        if trial in self._index:
            self._mark(trial, False)

    def _mark(self, trial: int, paused: bool) -> None:
        index = self._index[trial]
        self._num_paused += int(paused) - int(self._paused[index])
        self._paused[index] = paused

    @property
    def has_paused(self) -> bool:
        """Whether any trial waits here."""
        return self._num_paused > 0

    def best_paused(self) -> int:
        """The best of the trials that wait here, of which there must be one."""
        return self._trials[self._sorted().best(self._waiting())]

    def place(self, trial: int) -> int:
        """How many are better, and one."""
        return self._sorted().place(self._index[trial])

    def place_of_first_equal(self, trial: int) -> int:
        """The place of the first to enter with the same losses."""
        return self._sorted().place(self._first_equal[self._losses[self._index[trial]]])

    def paused_below(self, places: int) -> list[tuple[int, int]]:
        """Place and number of each trial that waits here and is not among the first ``places``, best first."""
        if len(self) <= places or not self.has_paused:
            return []
        ordered, waiting, found = self._sorted(), self._waiting(), list[tuple[int, int]]()
        while len(waiting):
            worst = ordered.worst(waiting)
            if (place := ordered.place(worst)) <= places:
                break
            found.append((place, self._trials[worst]))
            waiting = waiting[waiting != worst]
        return found[::-1]

    def _waiting(self) -> NDArray[np.int64]:
        return np.flatnonzero(self._paused)

    def _sorted(self) -> Ordered:
        self._ordered.catch_up(self._losses)
        return self._ordered
