"""A trial of a search: its hyperparameters, what it has reported, and what was decided about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, get_args

HALVED_BATCH = "halved_batch_size"  # reported by a trial for whose whole batch there was not enough memory
Status = Literal["running", "paused", "finished", "stopped", "collapsed", "failed"]
ENDED = frozenset(get_args(Status)) - {"running", "paused"}  # a trial of such a status will report no more


class Action(StrEnum):
    """What happens to a trial after a report, in the words of Ray's and syne-tune's schedulers."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True)
class Decision:
    """What was decided about a trial at a report, made by :data:`CONTINUE`, :func:`pause` or :func:`stop`.

    Attributes:
        status: that the trial has when the decision is carried out.
        reason: for a person; empty while the trial goes on.
    """

    status: Status
    reason: str = ""

    @property
    def action(self) -> Action:
        """What happens to the trial now."""
        return {"running": Action.CONTINUE, "paused": Action.PAUSE}.get(self.status, Action.STOP)


CONTINUE = Decision("running")


def pause(reason: str) -> Decision:
    """The trial waits at its checkpoint; it may be promoted later."""
    return Decision("paused", reason)


def stop(status: Literal["finished", "stopped", "collapsed", "failed"], reason: str) -> Decision:
    """The trial ends with ``status``."""
    return Decision(status, reason)


@dataclass(frozen=True)
class Report:
    """What a trial had reached at one step, when it was reported (seconds since the epoch), and what was decided."""

    step: int
    metrics: Mapping[str, float]
    at: float
    decision: Decision = CONTINUE

    @property
    def is_valid(self) -> bool:
        """Whether its metrics can be compared with other trials': it showed neither a failure nor a collapse."""
        return self.decision.status not in ("collapsed", "failed")


def params_in_words(params: Mapping[str, Any]) -> str:
    """``lambda_2=12.4 tau=0.11``."""
    return " ".join(f"{n}={v:.3g}" if isinstance(v, float) else f"{n}={v}" for n, v in params.items())


@dataclass
class Trial:
    """One trial, as the events of its search make it.

    Attributes:
        number: counted from 0, in the order of proposals.
        params: its hyperparameters, by name.
        at: when it was proposed, in seconds since the epoch.
        status: what it does now, or how it has ended.
        reason: why it has ended; empty before.
        reports: by step.
        ray_trial_id: by which Ray knows it, at its newest start.
        host: the machine on which it trains, or has trained last; empty where that is not known.
        checkpoint: where its newest checkpoint lies; None while it has none.
        checkpoint_step: the step of that checkpoint, 0 without one.
        checkpoint_at: when that checkpoint was whole, in seconds since the epoch; None while there was none.
        path_in_storage: the newest checkpoint's path below the storage that it was written to.
        previous_checkpoint: where the checkpoint before the newest one lay, and its step; it is deleted soon.
        paused_at: the step of the report at which it was paused last.
        ended_at: when it ended, in seconds since the epoch.
        newest_event: the place of its last event among all events.
    """

    number: int
    params: Mapping[str, Any]
    at: float
    status: Status = "running"
    reason: str = ""
    reports: dict[int, Report] = field(default_factory=dict)
    ray_trial_id: str = ""
    host: str = ""
    checkpoint: str | None = None
    checkpoint_step: int = 0
    checkpoint_at: float | None = None
    path_in_storage: str | None = None
    previous_checkpoint: tuple[str, int] | None = None
    paused_at: int | None = None
    ended_at: float | None = None
    newest_event: int = 0

    @property
    def name(self) -> str:
        """``trial 17 · lambda_2=12.4 tau=0.11``."""
        return f"trial {self.number} · {params_in_words(self.params)}"

    @property
    def last(self) -> Report | None:
        """The newest report."""
        return self.reports[max(self.reports)] if self.reports else None

    @property
    def decision(self) -> Decision:
        """The decision that now holds: that of the newest report, with two exceptions.

        A trial that was paused at that report and promoted since goes on. So does a finished one until the checkpoint
        of its last step is whole: without its weights it is of no use.
        """
        last = self.last
        if last is None or (self.status == "running" and self.paused_at == last.step):
            return CONTINUE
        if last.decision.status == "finished" and self.checkpoint_step != last.step:
            return CONTINUE
        return last.decision

    @property
    def why(self) -> str:
        """Why it has ended, is paused, or is about to be either; empty while it trains."""
        return self.reason or self.decision.reason

    @property
    def outcome(self) -> str:
        """Its status when its search runs no more: one that trained until then was interrupted."""
        return "interrupted" if self.status == "running" else self.status

    @property
    def ended(self) -> bool:
        """Whether it will report no more."""
        return self.status in ENDED

    def rung(self, rungs: Sequence[int]) -> int | None:
        """The highest of ``rungs`` that it has entered; a report that failed or showed a collapse enters none."""
        valid = [step for step, report in self.reports.items() if report.is_valid]
        return max((rung for rung in rungs if rung <= max(valid, default=0)), default=None)
