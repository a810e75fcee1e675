"""Runs that are begun before it is certain that they are needed, in slots that would be idle."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eig_tune.config.space import SearchSpec
from eig_tune.hpo.objectives import Metrics
from eig_tune.hpo.policies import Policy
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import CONTINUE, Decision, Trial, pause, stop

Params = Mapping[str, Any]
_OVERTAKEN = "it was begun while others still trained, which turned out better"


class WantedRuns(Policy):
    """Every run that is wanted, once, to its full budget.

    What is wanted may change while results are to come on which it depends. A run that is wanted no more pauses at its
    next report, and goes on if it is wanted again; when nothing can change any more, those that are paused are stopped.
    A stopped one is trained again if it is wanted after all, as a search that is extended may have it.

    Args:
        spec: the space: objectives, constraints and budget.
        state: the runs so far.
        wanted: the params of the runs that are wanted as far as is known now, the most urgent first.
        settled: whether nothing can change any more.
    """

    def __init__(
        self,
        spec: SearchSpec,
        state: SearchState,
        wanted: Callable[[], Sequence[Params]],
        settled: Callable[[], bool],
    ) -> None:
        self.objectives = spec.objectives
        self.constraints = spec.constraints
        self._budget = spec.train.steps
        self._runs = state.trials
        self._wanted = wanted
        self._settled = settled
        self._paused = set[int]()

    @property
    def num_trials(self) -> int:  # type: ignore[override]
        """Those that there are, and those that are wanted and not begun."""
        return len(self._runs) + len(self._not_begun())

    @property
    def settled(self) -> bool:  # type: ignore[override]
        return self._settled()

    def propose(self, number: int) -> Params:
        return self._not_begun()[0]

    def decide(self, trial: Trial, step: int, metrics: Metrics) -> Decision:
        if step >= self._budget:
            return stop("finished", f"full budget of {step} steps")
        return CONTINUE if dict(trial.params) in self._wanted() else pause("others are better as far as is known")

    def on_paused(self, number: int) -> None:
        self._paused.add(number)

    def on_ended(self, number: int) -> None:
        self._paused.discard(number)

    def promote(self, force: bool) -> int | None:
        at_rest = [number for number, run in self._runs.items() if number in self._paused or run.status == "stopped"]
        wanted = self._wanted() if at_rest else ()
        number = next((number for number in at_rest if dict(self._runs[number].params) in wanted), None)
        if number is not None:
            self._paused.discard(number)
        return number

    def still_paused(self) -> Mapping[int, str]:
        return dict.fromkeys(self._paused, _OVERTAKEN) if self.settled else {}

    def _not_begun(self) -> list[Params]:
        begun = [dict(run.params) for run in self._runs.values()]
        return [params for params in self._wanted() if dict(params) not in begun]
