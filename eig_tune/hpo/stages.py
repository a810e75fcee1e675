"""Several engines in the same slots, one after the other: a slot that one leaves idle is the next one's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from eig_tune.hpo.engine import Engine
from eig_tune.hpo.trial import Trial


@dataclass(frozen=True)
class Stage:
    """An engine, and when it comes.

    Attributes:
        engine: proposes trials and decides on their reports.
        ready: whether its trials have what they need; before that none is proposed.
        on_complete: called once when it is complete and all stages before it are.
    """

    engine: Engine
    ready: Callable[[], bool] = lambda: True
    on_complete: Callable[[], None] = lambda: None


StageT = TypeVar("StageT", bound=Stage)


class Stages(Generic[StageT]):
    """The stages of one search: what an earlier one proposes runs first.

    Args:
        stages: in their order.
    """

    def __init__(self, stages: Sequence[StageT]) -> None:
        self._stages = stages
        self._num_complete = 0
        self.complete()

    def propose(self, ray_trial_id: str = "") -> tuple[StageT, Trial] | None:
        """The next trial for a free slot, with its stage; None when there is none now."""
        for stage in self._stages:
            if stage.ready() and (trial := stage.engine.propose(ray_trial_id)) is not None:
                return stage, trial
            self.complete()  # what the next one proposes may follow from that
        return None

    def complete(self) -> bool:
        """Whether all stages are; calls ``on_complete`` of those that have become so."""
        while self._num_complete < len(self._stages) and self._stages[self._num_complete].engine.complete:
            self._num_complete += 1
            self._stages[self._num_complete - 1].on_complete()
        return self._num_complete == len(self._stages)

    @property
    def halted(self) -> str | None:
        """Why one of the engines cannot go on, or None."""
        return next((stage.engine.halted for stage in self._stages if stage.engine.halted is not None), None)

    def heartbeat(self) -> None:
        """That of every engine."""
        for stage in self._stages:
            stage.engine.heartbeat()

    def sync(self) -> None:
        """All events of all engines outlast a power failure afterwards."""
        for stage in self._stages:
            stage.engine.state.sync()
