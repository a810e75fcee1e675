"""Which runs confirm a search's best: all of them at its end, and before it those that slots which are idle begin.

What is wanted is at any time:

- second seeds of the finalists, which are the best of those that have finished so far; how many they are is counted as
  if those that train now finished as well;
- fresh seeds of the best finalists, as soon as the second seeds of more than half of so many have ended. Of fewer the
  first that have ended would be taken for the best.

A trial that ends later may change that: a run that was begun and is not wanted any more gives its slot back
(:class:`~eig_tune.hpo.wanted_runs.WantedRuns`). When the search and then the second seeds have come to their end, what
is wanted depends on their results alone, so that the same trials are confirmed as if nothing had been begun early.
"""

from collections.abc import Callable, Sequence
from typing import Any

from eig_tune.config.space import SearchSpec
from eig_tune.hpo.candidates import SECOND_SEED, SPLIT, Candidate, candidates_of
from eig_tune.hpo.confirmations import second_seeds
from eig_tune.hpo.selection import to_confirm
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Status


def best_numbers(spec: SearchSpec, candidates: Sequence[Candidate], most: int) -> list[int]:
    """The numbers of the best of finished trials, best first, at most so many."""
    return [each.number for each in to_confirm(candidates, spec.objectives, spec.constraints, most)]


class Finalists:
    """The best trials of a search, as far as they are known.

    Args:
        spec: its space.
        search: its trials.
        num_trials: how many there shall be; a person may ask for more meanwhile.
        second: runs on a second seed.
        has_second_seeds: whether there are such runs; else the best by their one seed are confirmed.
        splits: the imbalances on which fresh seeds are trained; None is the search's own images.
    """

    def __init__(
        self,
        spec: SearchSpec,
        search: SearchState,
        num_trials: Callable[[], int],
        second: SearchState,
        *,
        has_second_seeds: bool,
        splits: Sequence[int | None] = (None,),
    ) -> None:
        self._spec = spec
        self._search = search
        self._num_trials = num_trials
        self._second = second
        self._has_second_seeds = has_second_seeds
        self._splits = splits
        self._known: dict[str, tuple[Any, list[int]]] = {}

    def search_ended(self) -> bool:
        """Whether no trial is to come, so that the finalists are known."""
        trials = self._search.trials
        return len(trials) >= self._num_trials() and all(trial.ended for trial in trials.values())

    def second_seeds_ended(self) -> bool:
        """Whether no second seed is to come, so that it is known which trials are confirmed."""
        return self.search_ended() and self.numbers() == self._ended()

    def numbers(self) -> list[int]:
        """The finalists, best first; empty where a second seed would decide nothing."""
        number, finished = self._how_many(), self._num("finished")
        return self._once("finalists", (number, finished), lambda: self._find_finalists(number))

    def chosen(self) -> list[int]:
        """The trials that are confirmed, best first."""
        if not (self.second_seeds_ended() or self._most_are_known()):
            return []
        return self._once("chosen", (self._num("finished"), self._ended()), self._choose)

    def second_runs(self) -> list[dict[str, Any]]:
        """The params of the runs on a second seed that are wanted."""
        return [{"trial": number, "seed": SECOND_SEED} for number in self.numbers()]

    def fresh_runs(self) -> list[dict[str, Any]]:
        """The params of the runs on fresh seeds that are wanted, all trials with their first seed first."""
        chosen = self.chosen()
        return [
            {"trial": number, "seed": seed, **({} if split is None else {SPLIT: split})}
            for seed in range(self._spec.confirm.seeds)
            for split in self._splits
            for number in chosen
        ]

    def _how_many(self) -> int:
        """How many finalists there will be if those that train now finish."""
        if not self._has_second_seeds:
            return 0
        return self._spec.confirm.finalists_of(self._num("finished") + self._num("running"))

    def _find_finalists(self, number: int) -> list[int]:
        return best_numbers(self._spec, candidates_of(self._search.trials.values()), number)

    def _choose(self) -> list[int]:
        spec, reached = self._spec, second_seeds(self._second, self._ended())
        candidates = candidates_of(self._search.trials.values(), second=reached)
        return best_numbers(spec, candidates, spec.confirm.top)

    def _most_are_known(self) -> bool:
        if self._has_second_seeds and self._spec.confirm.finalists:
            return 2 * len(self._ended()) > self._how_many() > 0
        return True

    def _ended(self) -> list[int]:
        """Those of the finalists whose second seed has ended, best first."""
        ended = {run.params["trial"] for run in self._second.trials.values() if run.ended}
        return [number for number in self.numbers() if number in ended]

    def _num(self, status: Status) -> int:
        return sum(trial.status == status for trial in self._search.trials.values())

    def _once(self, what: str, given: Any, find: Callable[[], list[int]]) -> list[int]:
        """What ``find`` returns; it is called again only when what it depends on is another."""
        if self._known.get(what, (None, []))[0] != given:
            self._known[what] = given, find()
        return self._known[what][1]
