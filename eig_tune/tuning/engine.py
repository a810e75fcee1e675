"""Trials and what becomes of them, without Ray: proposes, judges reports, and remembers both.

Ray, a benchmark's replay, or a test drives it through six calls: ``propose``, ``report``, ``checkpointed``,
``end``, ``fail`` and ``died``. What is proposed and when a trial stops is a strategy's business: a search's, or that
of a list of runs given beforehand. Everything the engine knows comes from the ledger, so it goes on after any
death by opening the ledger again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from eig_tune.errors import StorageError
from eig_tune.tuning import health
from eig_tune.tuning.ledger import MEND_AND_RESUME, Ledger, Report, Status, Trial
from eig_tune.tuning.results import on_front

_MOST_DEATHS = 3  # of one trial, without a checkpoint in between


class Strategy(Protocol):
    """What is tried, and when a trial has been tried enough."""

    @property
    def wanted(self) -> int:
        """How many trials there shall be."""

    @property
    def objectives(self) -> Mapping[str, str]:
        """Metric to direction; a report without one of them fails its trial."""

    def propose(self, number: int) -> Mapping[str, Any]:
        """Values of the new trial ``number``."""

    def judge(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> tuple[Status, str]:
        """Learn from a report; the verdict on its trial and the reason."""

    def paused(self, number: int) -> None:
        """Trial ``number`` rests, as was its verdict, and could go on."""

    def promote(self, anyway: bool) -> int | None:
        """A trial that has been paused and shall go on.

        Args:
            anyway: whether it must be one, if any is paused, since no trial has got to its end.
        """

    def hopeless(self) -> Mapping[int, str]:
        """Paused trials that will never be promoted, each with why."""

    def waiting(self) -> Mapping[int, str]:
        """All paused trials, each with why it has not got further if the search ends now."""

    def recall(self, trial: Trial, report: Report) -> None:
        """Learn from a report that an earlier process has judged."""

    def ended(self, number: int) -> None:
        """Trial ``number`` will report no more."""


class Observer(Protocol):
    """Somebody who wants to know what happens: the tracker, the terminal."""

    def trial_started(self, trial: Trial) -> None: ...

    def trial_resumed(self, trial: Trial) -> None: ...

    def trial_reported(self, trial: Trial, report: Report) -> None: ...

    def trial_checkpointed(self, trial: Trial) -> None: ...

    def trial_ended(self, trial: Trial) -> None: ...


class Engine:
    """The trials of one ledger.

    Args:
        strategy: what is tried, and how far.
        ledger: where it is remembered; trials already in it are taken over.
        observers: told of every event, after it is in the ledger.
    """

    def __init__(self, strategy: Strategy, ledger: Ledger, observers: Sequence[Observer] = ()) -> None:
        self.strategy = strategy
        self.ledger = ledger
        self._observers: Sequence[Observer] = ()  # who catches up with what is in the ledger now
        self._deaths: Counter[int] = Counter()
        self._halted: str | None = None
        self._end_what_was_decided()
        self._front = self._best_of(self.finished())
        self._unfinished = [trial for trial in ledger.trials.values() if trial.status == "running"]
        self._recall()
        self._stop(self.strategy.hopeless())
        self._observers = observers

    def propose(self, runner: str = "") -> Trial | None:
        """The next trial to run: one that was cut short, one that is promoted, or a new one; None when there is none.

        Args:
            runner: by what name Ray knows the trial.
        """
        known = len(self.ledger.trials)
        if self._unfinished:
            trial: Trial | None = self._unfinished.pop(0)
        else:
            trial = self._promoted() or self._new_trial() or self._last_one()
        if trial is not None:
            self.ledger.start(trial.number, runner)
            if trial.number < known:
                self._tell(lambda observer: observer.trial_resumed(trial))
        return trial

    def _promoted(self, anyway: bool = False) -> Trial | None:
        number = self.strategy.promote(anyway)
        return None if number is None else self.ledger.trials[number]

    def _new_trial(self) -> Trial | None:
        number = len(self.ledger.trials)
        if number >= self.strategy.wanted:
            return None
        trial = self.ledger.propose(number, self.strategy.propose(number))
        self._tell(lambda observer: observer.trial_started(trial))
        return trial

    def _last_one(self) -> Trial | None:
        """When all have been tried and none runs: one at least gets to its end, and who is paused then has lost."""
        if any(trial.status == "running" for trial in self.ledger.trials.values()):
            return None
        trial = None if self._front else self._promoted(anyway=True)
        if trial is None:
            self._stop(self.strategy.waiting())
        return trial

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> Report:
        """Take a trial's report; the verdict in it says whether the trial goes on.

        A report that came before (its trial was set back to a checkpoint) gets the verdict it got then. Where it was
        paused it has been promoted since.
        """
        trial = self.ledger.trials[number]
        if step in trial.reports:
            before = trial.reports[step]
            return replace(before, verdict="running", reason="") if before.verdict == "paused" else before
        verdict: Status
        if (broken := self._broken(metrics)) is not None:
            verdict, reason = "failed", f"{broken} at step {step}"
        else:
            verdict, reason = self.strategy.judge(trial, step, metrics)
        report = self.ledger.report(number, step, metrics, verdict, reason)
        self._tell(lambda observer: observer.trial_reported(trial, report))
        self._stop(self.strategy.hopeless())
        return report

    def checkpointed(self, number: int, path: str, step: int) -> str | None:
        """The checkpoint of ``step`` is whole; the one before it, now free to be deleted, is returned."""
        trial = self.ledger.trials[number]
        older = trial.checkpoint
        self.ledger.checkpoint(number, path, step)
        del self._deaths[number]
        self._tell(lambda observer: observer.trial_checkpointed(trial))
        return older

    def end(self, number: int) -> None:
        """A trial has come to rest after its last report."""
        trial = self.ledger.trials[number]
        if trial.verdict == "running":
            return  # the whole search is being stopped; the trial goes on when it is resumed
        if trial.verdict == "paused":
            self.ledger.pause(number)
            self.strategy.paused(number)
            self._stop(self.strategy.hopeless())
        else:
            self._close(number, trial.verdict, trial.why)

    def fail(self, number: int, reason: str) -> None:
        """A trial cannot go on."""
        self._close(number, "failed", reason)

    def set_back(self, number: int, to_earlier: bool) -> None:
        """The newest checkpoint of a trial cannot be used: it goes on from its beginning, or from the one before."""
        trial = self.ledger.trials[number]
        location, step = (to_earlier and trial.earlier) or (None, 0)
        self.ledger.checkpoint(number, location, step)
        self._unfinished.append(trial)

    def died(self, number: int, reason: str, storage: bool = False) -> None:
        """The process of a trial is gone: the trial goes on from its checkpoint.

        Unless it dies again and again without coming any further: then it is the trial that kills it. Losing nodes,
        however many, is no fault of a trial's.

        Args:
            storage: it could not read or write its checkpoint, which is no fault of its own either; when that does
                not end, the search halts.
        """
        self._deaths[number] += 1
        trial = self.ledger.trials[number]
        if trial.verdict != "running":
            self.end(number)
        elif self._deaths[number] > _MOST_DEATHS and storage:
            self.halt(f"{reason}; {MEND_AND_RESUME}")
        elif self._deaths[number] > _MOST_DEATHS:
            self.fail(number, reason)
        else:
            self._unfinished.append(trial)

    def halt(self, reason: str) -> None:
        """The search cannot go on until a person has mended something."""
        self._halted = reason

    @property
    def halted(self) -> str | None:
        """Why the search cannot go on, or None."""
        return self._halted or self.ledger.trouble

    def finished(self) -> list[Trial]:
        """Trials that were trained to the full budget."""
        return [trial for trial in self.ledger.trials.values() if trial.status == "finished"]

    def front(self) -> list[Trial]:
        """Finished trials that no other finished trial dominates."""
        return sorted(self._front, key=lambda trial: trial.number)

    def _best_of(self, finished: Sequence[Trial]) -> list[Trial]:
        last = [trial.last.metrics for trial in finished if trial.last is not None]
        return [t for t, best in zip(finished, on_front(last, self.strategy.objectives), strict=True) if best]

    @property
    def complete(self) -> bool:
        """Whether every wanted trial has ended."""
        trials = self.ledger.trials.values()
        return len(trials) >= self.strategy.wanted and all(trial.ended for trial in trials)

    def _stop(self, paused: Mapping[int, str]) -> None:
        for number, why in paused.items():
            self._close(number, "stopped", why)

    def _close(self, number: int, status: Status, reason: str) -> None:
        trial = self.ledger.end(number, status, reason)
        self.strategy.ended(number)
        if status == "finished":
            # Whoever was dominated before still is, so that the front and the newcomer are enough.
            self._front = self._best_of([*self._front, trial])
        self._tell(lambda observer: observer.trial_ended(trial))

    def _tell(self, event: Callable[[Observer], None]) -> None:
        """Observers have views of the ledger, which they catch up with after a resume."""
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
        if (name := health.not_a_number(metrics)) is not None:
            return f"{name} is not a number"
        missing = next((name for name in self.strategy.objectives if name not in metrics), None)
        return None if missing is None else f"{missing} is missing"

    def _end_what_was_decided(self) -> None:
        """End or pause trials that an earlier process had judged, but died before it could do so."""
        for trial in self.ledger.trials.values():
            if trial.status != "running" or trial.verdict == "running":
                continue
            if trial.verdict == "paused":
                self.ledger.pause(trial.number)
            else:
                self.ledger.end(trial.number, trial.verdict, trial.why)

    def _recall(self) -> None:
        """Bring the strategy to where the ledger's reports, in the order they came, have brought it."""
        for trial, report in self.ledger.reports:
            if self._broken(report.metrics) is None:
                self.strategy.recall(trial, report)
        for trial in self.ledger.trials.values():
            if trial.status == "paused":
                self.strategy.paused(trial.number)
