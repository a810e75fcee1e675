"""A trial of a search and its reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

HALVED_BATCH = "halved_batch_size"  # reported by a trial for whose whole batch there was not enough memory
Status = Literal["running", "paused", "finished", "stopped", "collapsed", "failed"]


@dataclass(frozen=True)
class Report:
    """What a trial had reached at one step, when it said so, and what was decided about it then."""

    step: int
    metrics: Mapping[str, float]
    at: float
    decision: Status
    reason: str


@dataclass
class Trial:
    """One trial, as the event log tells it.

    Attributes:
        inside: the newest checkpoint's path below the storage that it was written to.
        earlier: where the checkpoint before the newest one lay, and its step; it is deleted soon.
        newest_event: the place of its last event among all events.
    """

    number: int
    params: Mapping[str, Any]
    at: float
    status: Status = "running"
    reason: str = ""
    reports: dict[int, Report] = field(default_factory=dict)
    ray_trial_id: str = ""
    checkpoint: str | None = None
    checkpoint_step: int = 0
    inside: str | None = None
    earlier: tuple[str, int] | None = None
    paused_at: int | None = None
    ended_at: float | None = None
    newest_event: int = 0

    @property
    def name(self) -> str:
        """``trial 17 · lambda_2=12.4 tau=0.11``."""
        values = " ".join(f"{n}={v:.3g}" if isinstance(v, float) else f"{n}={v}" for n, v in self.params.items())
        return f"trial {self.number} · {values}"

    @property
    def last(self) -> Report | None:
        """The newest report."""
        return self.reports[max(self.reports)] if self.reports else None

    @property
    def decision(self) -> Status:
        """What its newest report has led to.

        Who was paused at it and has been promoted since runs; and so does who has finished, until the weights of the
        last step are kept: that model is wanted.
        """
        last = self.last
        if last is None or (self.status == "running" and self.paused_at == last.step):
            return "running"
        if last.decision == "finished" and self.checkpoint_step != last.step:
            return "running"
        return last.decision

    @property
    def why(self) -> str:
        """Why it has ended, rests, or is about to do so; empty while it trains."""
        judged = "" if self.last is None or self.decision == "running" else self.last.reason
        return self.reason or judged

    @property
    def outcome(self) -> str:
        """Its status when its search runs no more: one that trained until then was interrupted."""
        return "interrupted" if self.status == "running" else self.status

    @property
    def ended(self) -> bool:
        """Whether it will report no more."""
        return self.status not in ("running", "paused")

    def rung(self, rungs: Sequence[int]) -> int | None:
        """The highest of ``rungs`` that it has entered; a report that failed or showed a collapse enters none."""
        steps = [report.step for report in self.reports.values() if report.decision not in ("collapsed", "failed")]
        return max((rung for rung in rungs if rung <= max(steps, default=0)), default=None)
