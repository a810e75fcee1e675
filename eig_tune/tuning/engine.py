"""The search itself, without Ray: proposes trials, judges their reports, and remembers both.

Ray, a benchmark's replay, or a test drives it through five calls: ``propose``, ``report``, ``checkpointed``,
``end`` and ``fail``. Everything it knows comes from the ledger, so a search goes on after any death by
opening the ledger again.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from eig_tune.tuning.ledger import Ledger, Report, Status, Trial
from eig_tune.tuning.results import losses_of, on_front
from eig_tune.tuning.sampler import Sampler
from eig_tune.tuning.scheduler import SuccessiveHalving
from eig_tune.tuning.space import SearchSpec


class Observer(Protocol):
    """Somebody who wants to know what happens: the tracker, the terminal."""

    def trial_started(self, trial: Trial) -> None: ...

    def trial_reported(self, trial: Trial, report: Report) -> None: ...

    def trial_ended(self, trial: Trial, on_front: bool) -> None: ...


class Engine:
    """One search over one ledger.

    Args:
        spec: what is searched.
        ledger: where it is remembered; trials already in it are taken over.
        observers: told of every event, after it is in the ledger.
    """

    def __init__(self, spec: SearchSpec, ledger: Ledger, observers: Sequence[Observer] = ()) -> None:
        self.spec = spec
        self.ledger = ledger
        self._observers = observers
        self._halving = SuccessiveHalving(spec.rungs(), spec.asha.reduction_factor)
        self._sampler = Sampler(
            spec.search,
            _flat(spec.base_config().model_dump()),
            len(spec.objectives),
            (*spec.rungs(), spec.train.steps),
            spec.start_from,
            spec.seed,
        )
        self._unfinished = [trial for trial in ledger.trials.values() if trial.status == "running"]
        self._replay()

    def propose(self) -> Trial | None:
        """The next trial to run: one that was cut short, else a new one; None when all are proposed."""
        if self._unfinished:
            return self._unfinished.pop(0)
        number = len(self.ledger.trials)
        if number >= self.spec.trials:
            return None
        trial = self.ledger.propose(number, self._sampler.propose(number))
        for observer in self._observers:
            observer.trial_started(trial)
        return trial

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> Report:
        """Take a trial's report; the verdict in it says whether the trial goes on.

        A report that came before (its trial was set back to a checkpoint) gets the verdict it got then.
        """
        trial = self.ledger.trials[number]
        if step in trial.reports:
            return trial.reports[step]
        verdict, reason = self._judge(trial, step, metrics)
        report = self.ledger.report(number, step, metrics, verdict, reason)
        for observer in self._observers:
            observer.trial_reported(trial, report)
        return report

    def checkpointed(self, number: int, path: str) -> str | None:
        """The newest checkpoint of a trial is whole; the one before it, now free to be deleted, is returned."""
        older = self.ledger.trials[number].checkpoint
        self.ledger.checkpoint(number, path)
        return older

    def end(self, number: int) -> None:
        """A trial has come to rest after its last report."""
        last = self.ledger.trials[number].last
        if last is None or last.verdict == "running":
            return  # the whole search is being stopped; the trial goes on when it is resumed
        self._close(number, last.verdict, last.reason)

    def fail(self, number: int, reason: str) -> None:
        """A trial cannot go on."""
        self._close(number, "failed", reason)

    def finished(self) -> list[Trial]:
        """Trials that were trained to the full budget."""
        return [trial for trial in self.ledger.trials.values() if trial.status == "finished"]

    def _close(self, number: int, status: Status, reason: str) -> None:
        trial = self.ledger.end(number, status, reason)
        self._sampler.abandon(number)
        is_best = status == "finished" and trial in self.front()
        for observer in self._observers:
            observer.trial_ended(trial, is_best)

    def front(self) -> list[Trial]:
        """Finished trials that no other finished trial dominates."""
        finished = self.finished()
        last = [trial.last.metrics for trial in finished if trial.last is not None]
        return [t for t, best in zip(finished, on_front(last, self.spec.objectives), strict=True) if best]

    def _judge(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> tuple[Status, str]:
        missing = self._not_numbers(metrics)
        if missing:
            return "failed", f"{missing[0]} is not a number at step {step}"
        rung = self._enter_rungs(trial, step, metrics)
        if step >= self.spec.train.steps:
            return "finished", f"full budget of {step} steps"
        if rung is not None and not self._halving.may_go_on(trial.number, rung):
            return "stopped", f"not among the best 1/{self.spec.asha.reduction_factor} of rung {rung}"
        return "running", ""

    def _not_numbers(self, metrics: Mapping[str, float]) -> list[str]:
        """Objectives that are missing, NaN or infinite."""
        return [name for name in self.spec.objectives if not math.isfinite(metrics.get(name, math.nan))]

    def _enter_rungs(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> int | None:
        losses = losses_of(metrics, self.spec.objectives)
        rung = self._halving.record(trial.number, step, losses)
        if rung is not None:
            self._sampler.observe(trial.number, rung, trial.values, losses)
        if step >= self.spec.train.steps:
            self._sampler.observe(trial.number, self.spec.train.steps, trial.values, losses)
        return rung

    def _replay(self) -> None:
        """Bring rungs and sampler to where the ledger's reports, in the order they came, have brought them."""
        reports = [(r, trial) for trial in self.ledger.trials.values() for r in trial.reports.values()]
        for report, trial in sorted(reports, key=lambda pair: pair[0].at):
            if not self._not_numbers(report.metrics):
                self._enter_rungs(trial, report.step, report.metrics)


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of all sections under their own names."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat
