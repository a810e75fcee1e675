"""Search after search, until all kills are done; what must hold of each when it is complete."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agreement import (
    Left,
    assert_all_agrees,
    assert_models_can_be_taken_home,
    assert_same_results,
)

from benchmarks.kills.history import History, StuckError
from benchmarks.kills.place import OBJECTIVES, REPORT_EVERY, RUNGS, Place
from benchmarks.kills.record import Record

TRIALS, CONFIRMED = 12, 1
_KILLS_PER_SEARCH, _NODES_PER_SEARCH = 10, 4
_SEEDS = 3  # of searches; each needs one that is left in peace


class Campaign:
    """Searches that are killed.

    Args:
        folder: of all searches; what is in it is deleted when a search has been checked.
        evidence: where a search is kept of which something is wrong.
    """

    def __init__(self, folder: Path, evidence: Path, record: Record, moments: random.Random) -> None:
        self._folder, self._evidence, self._record, self._moments = folder, evidence, record, moments
        self._undisturbed: dict[int, Left] = {}
        self._searches = 0

    def run(self, wanted: Counter[str]) -> None:
        """Until every kind has been done so often, or the searches end too early again and again."""
        most = 3 * (wanted.total() // _KILLS_PER_SEARCH + 1)
        while wanted.total() and self._searches < most:
            self._searches += 1
            on_cluster = bool(wanted["node"]) and (self._searches % 2 == 1 or wanted.total() == wanted["node"])
            kinds = self._drawn(wanted, on_cluster)
            wanted.update(self._search(kinds, 2 if self._searches % 3 == 0 else 1, on_cluster))

    def _drawn(self, wanted: Counter[str], on_cluster: bool) -> list[str]:
        """Kinds of the kills of one search, in their order; taken out of ``wanted``."""
        nodes = min(_NODES_PER_SEARCH, wanted["node"]) if on_cluster else 0
        others = [kind for kind in wanted.elements() if kind != "node"]
        drawn = ["node"] * nodes + self._moments.sample(others, min(_KILLS_PER_SEARCH - nodes, len(others)))
        wanted.subtract(drawn)
        self._moments.shuffle(drawn)
        return drawn

    def _search(self, kinds: list[str], slots: int, on_cluster: bool) -> list[str]:
        """One search; the kinds for which there was no time."""
        seed = self._searches % _SEEDS
        undisturbed = self._left_in_peace(seed) if slots == 1 else None
        name = f"search {self._searches} (seed {seed}, {slots} slots{', cluster' if on_cluster else ''})"
        place = Place(self._folder / str(self._searches), slots, seed, on_cluster=on_cluster)
        try:
            return self._suffer(name, place, kinds, undisturbed)
        finally:
            place.close()
            shutil.rmtree(self._folder / str(self._searches))

    def _suffer(self, name: str, place: Place, kinds: list[str], undisturbed: Left | None) -> list[str]:
        evidence, spared = self._evidence / f"search-{self._searches}", []
        problems = []
        try:
            spared = History(name, place, self._record, self._moments).run(kinds)
            problems = self._wrong(place, undisturbed)
        except (StuckError, AssertionError) as error:
            problems = [f"{error}"]
        if problems:
            place.keep(evidence)
        for problem in problems:
            self._record.violation(name, problem, evidence)
        if not problems:
            self._record.say(f"{name}  complete, all agrees" + (", as if left in peace" if undisturbed else ""))
        return spared

    def _wrong(self, place: Place, undisturbed: Left | None) -> list[str]:
        """What does not hold of a complete search."""
        left = place.left
        place.wait_for_server()
        checks: list[Callable[[], None]] = [
            partial(assert_all_agrees, left, TRIALS, CONFIRMED, REPORT_EVERY, RUNGS),
            partial(assert_models_can_be_taken_home, left, ("knee", *OBJECTIVES), self._folder / "models"),
        ]
        if undisturbed is not None:
            checks.append(partial(assert_same_results, left, undisturbed))
        problems = []
        for check in checks:
            try:
                check()
            except AssertionError as error:
                problems.append(str(error))
        shutil.rmtree(self._folder / "models", ignore_errors=True)
        return problems

    def _left_in_peace(self, seed: int) -> Left:
        """What the search of this seed comes to, one trial at a time, when nothing happens to it."""
        if seed not in self._undisturbed:
            folder, kept = self._folder / f"undisturbed-{seed}", self._folder / f"kept-{seed}"
            place = Place(folder, 1, seed, on_cluster=False)
            try:
                History(f"undisturbed, seed {seed}", place, self._record, self._moments).run([])
                shutil.copytree(place.home / "studies", kept / "studies")
            finally:
                place.close()
            self._undisturbed[seed] = Left(kept, place.left.uri, place.left.storage)
            self._record.say(f"seed {seed}: left in peace once, for comparison")
        return self._undisturbed[seed]
