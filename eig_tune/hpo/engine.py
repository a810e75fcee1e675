"""Trials and what becomes of them, without Ray: proposes, judges reports, and remembers both.

Ray, a benchmark's replay, or a test drives it through six calls: ``propose``, ``report``, ``checkpointed``,
``end``, ``fail`` and ``died``. What is proposed and when a trial stops is a strategy's business: a search's, or that
of a list of runs given beforehand. Everything the engine knows comes from the event log, so it goes on after any
death by opening the event log again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from eig_tune.errors import MEND_AND_RESUME, StorageError
from eig_tune.hpo import collapse
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.objectives import on_front
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.trial import Report, Status, Trial

_MOST_DEATHS = 3  # of one trial, without a checkpoint in between


class Strategy(Protocol):
    """What is tried, and when a trial has been tried enough."""

    @property
    def num_trials(self) -> int:
        """How many trials there shall be."""

    @property
    def objectives(self) -> Mapping[str, str]:
        """Metric to direction; a report without one of them fails its trial."""

    def propose(self, number: int) -> Mapping[str, Any]:
        """Values of the new trial ``number``."""

    def decide(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> tuple[Status, str]:
        """Learn from a report; the decision on its trial and the reason."""

    def paused(self, number: int) -> None:
        """Trial ``number`` rests, as was its decision, and could go on."""

    def promote(self, force: bool) -> int | None:
        """A trial that has been paused and shall go on.

        Args:
            anyway: whether it must be one, if any is paused, since no trial has got to its end.
        """

    def unpromotable(self) -> Mapping[int, str]:
        """Paused trials that will never be promoted, each with why."""

    def waiting(self) -> Mapping[int, str]:
        """All paused trials, each with why it has not got further if the search ends now."""

    def replay(self, trial: Trial, report: Report) -> None:
        """Learn from a report that an earlier process has judged."""

    def ended(self, number: int) -> None:
        """Trial ``number`` will report no more."""


class Engine:
    """The trials of one event log.

    Args:
        strategy: what is tried, and how far.
        event log: where it is remembered; trials already in it are taken over.
        observers: notified of every event, after it is in the event log.
    """

    def __init__(self, strategy: Strategy, event_log: EventLog, observers: Sequence[Observer] = ()) -> None:
        self.strategy = strategy
        self.event_log = event_log
        self._observers: Sequence[Observer] = ()  # who catches up with what is in the event log now
        self._deaths: Counter[int] = Counter()
        self._halted: str | None = None
        self._end_what_was_decided()
        self._front = self._best_of(self.finished())
        self._unfinished = [trial for trial in event_log.trials.values() if trial.status == "running"]
        self._replay()
        self._stop(self.strategy.unpromotable())
        self._observers = observers

    def propose(self, ray_trial_id: str = "") -> Trial | None:
        """The next trial to run: one that was cut short, one that is promoted, or a new one; None when there is none.

        Args:
            runner: by what name Ray knows the trial.
        """
        known = len(self.event_log.trials)
        if self._unfinished:
            trial: Trial | None = self._unfinished.pop(0)
        else:
            trial = self._promoted() or self._new_trial() or self._last_one()
        if trial is not None:
            self.event_log.start(trial.number, ray_trial_id)
            if trial.number < known:
                self._notify(lambda observer: observer.trial_resumed(trial))
        return trial

    def _promoted(self, force: bool = False) -> Trial | None:
        number = self.strategy.promote(force)
        return None if number is None else self.event_log.trials[number]

    def _new_trial(self) -> Trial | None:
        number = len(self.event_log.trials)
        if number >= self.strategy.num_trials:
            return None
        trial = self.event_log.propose(number, self.strategy.propose(number))
        self._notify(lambda observer: observer.trial_started(trial))
        return trial

    def _last_one(self) -> Trial | None:
        """When all have been tried and none runs: one at least gets to its end, and who is paused then has lost."""
        if any(trial.status == "running" for trial in self.event_log.trials.values()):
            return None
        trial = None if self._front else self._promoted(force=True)
        if trial is None:
            self._stop(self.strategy.waiting())
        return trial

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> Report:
        """Take a trial's report; the decision in it says whether the trial goes on.

        A report that came before (its trial was set back to a checkpoint) gets the decision it got then. Where it was
        paused it has been promoted since.
        """
        trial = self.event_log.trials[number]
        if step in trial.reports:
            before = trial.reports[step]
            return replace(before, decision="running", reason="") if before.decision == "paused" else before
        decision: Status
        if (broken := self._broken(metrics)) is not None:
            decision, reason = "failed", f"{broken} at step {step}"
        else:
            decision, reason = self.strategy.decide(trial, step, metrics)
        report = self.event_log.report(number, step, metrics, decision, reason)
        self._notify(lambda observer: observer.trial_reported(trial, report))
        self._stop(self.strategy.unpromotable())
        return report

    def checkpointed(self, number: int, path: str, step: int) -> str | None:
        """The checkpoint of ``step`` is whole; the one before it, now free to be deleted, is returned."""
        trial = self.event_log.trials[number]
        older = trial.checkpoint
        self.event_log.checkpoint(number, path, step)
        del self._deaths[number]
        self._notify(lambda observer: observer.trial_checkpointed(trial))
        return older

    def end(self, number: int) -> None:
        """A trial has come to rest after its last report."""
        trial = self.event_log.trials[number]
        if trial.decision == "running":
            return  # the whole search is being stopped; the trial goes on when it is resumed
        if trial.decision == "paused":
            self.event_log.pause(number)
            self.strategy.paused(number)
            self._stop(self.strategy.unpromotable())
        else:
            self._close(number, trial.decision, trial.why)

    def fail(self, number: int, reason: str) -> None:
        """A trial cannot go on."""
        self._close(number, "failed", reason)

    def set_back(self, number: int, to_earlier: bool) -> None:
        """The newest checkpoint of a trial cannot be used: it goes on from its beginning, or from the one before."""
        trial = self.event_log.trials[number]
        location, step = (to_earlier and trial.earlier) or (None, 0)
        self.event_log.checkpoint(number, location, step)
        self._unfinished.append(trial)

    def on_worker_lost(self, number: int, reason: str, storage: bool = False) -> None:
        """The process of a trial is gone: the trial goes on from its checkpoint.

        Unless it dies again and again without coming any further: then it is the trial that kills it. Losing nodes,
        however many, is no fault of a trial's.

        Args:
            storage: it could not read or write its checkpoint, which is no fault of its own either; when that does
                not end, the search halts.
        """
        self._deaths[number] += 1
        trial = self.event_log.trials[number]
        if trial.decision != "running":
            self.end(number)
        elif self._deaths[number] > _MOST_DEATHS and storage:
            self.halt(f"{reason}; {MEND_AND_RESUME}")
        elif self._deaths[number] > _MOST_DEATHS:
            self.fail(number, reason)
        else:
            self._unfinished.append(trial)

    def heartbeat(self) -> None:
        """Called several times a second while trials run: what was logged longer than a second ago is on the disk
        afterwards, and observers see that time goes by."""
        self.event_log.tick()
        self._notify(lambda observer: observer.heartbeat())

    def halt(self, reason: str) -> None:
        """The search cannot go on until a person has mended something."""
        self._halted = reason

    @property
    def halted(self) -> str | None:
        """Why the search cannot go on, or None."""
        return self._halted or self.event_log.trouble

    def finished(self) -> list[Trial]:
        """Trials that were trained to the full budget."""
        return [trial for trial in self.event_log.trials.values() if trial.status == "finished"]

    def front(self) -> list[Trial]:
        """Finished trials that no other finished trial dominates."""
        return sorted(self._front, key=lambda trial: trial.number)

    def _best_of(self, finished: Sequence[Trial]) -> list[Trial]:
        last = [trial.last.metrics for trial in finished if trial.last is not None]
        return [t for t, best in zip(finished, on_front(last, self.strategy.objectives), strict=True) if best]

    @property
    def complete(self) -> bool:
        """Whether every wanted trial has ended."""
        trials = self.event_log.trials.values()
        return len(trials) >= self.strategy.num_trials and all(trial.ended for trial in trials)

    def _stop(self, paused: Mapping[int, str]) -> None:
        for number, why in paused.items():
            self._close(number, "stopped", why)

    def _close(self, number: int, status: Status, reason: str) -> None:
        trial = self.event_log.end(number, status, reason)
        self.strategy.ended(number)
        if status == "finished":
            # Whoever was dominated before still is, so that the front and the newcomer are enough.
            self._front = self._best_of([*self._front, trial])
        self._notify(lambda observer: observer.trial_ended(trial))

    def _notify(self, event: Callable[[Observer], None]) -> None:
        """Observers have views of the event log, which they catch up with after a resume."""
        for observer in self._observers:
            try:
                event(observer)
            except StorageError as error:
                self.halt(f"{error}; {MEND_AND_RESUME}")
            except OSError as error:
                where = error.filename or "the home"
                self.halt(f"{where} cannot be written ({error.strerror or error}); {MEND_AND_RESUME}")

    def _broken(self, metrics: Mapping[str, float]) -> str | None:
        """What makes a report useless: a number that is none, or an objective that is missing."""
        if (name := collapse.not_a_number(metrics)) is not None:
            return f"{name} is not a number"
        missing = next((name for name in self.strategy.objectives if name not in metrics), None)
        return None if missing is None else f"{missing} is missing"

    def _end_what_was_decided(self) -> None:
        """End or pause trials that an earlier process had judged, but died before it could do so."""
        for trial in self.event_log.trials.values():
            if trial.status != "running" or trial.decision == "running":
                continue
            if trial.decision == "paused":
                self.event_log.pause(trial.number)
            else:
                self.event_log.end(trial.number, trial.decision, trial.why)

    def _replay(self) -> None:
        """Bring the strategy to where the event log's reports, in the order they came, have brought it."""
        for trial, report in self.event_log.reports:
            if self._broken(report.metrics) is None:
                self.strategy.replay(trial, report)
        for trial in self.event_log.trials.values():
            if trial.status == "paused":
                self.strategy.paused(trial.number)
