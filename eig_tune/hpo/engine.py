"""Asynchronous hyperparameter optimisation as a state machine: which trial runs next, and how far each one runs.

The engine knows nothing of Ray. Whatever runs trials (Ray's adapters, a simulation, a test) drives it:

    while (trial := engine.propose()) is not None:              a new trial, a promoted one, or one that was cut short
        for every report: decision = engine.report(…)           CONTINUE, PAUSE or STOP
            if engine.needs_checkpoint(…):                      the weights of that step are kept
                engine.checkpointed(…)                          they are whole
        engine.carry_out(…)                                     the decision, once the last checkpoint is whole

What is proposed and what is decided is a policy's business (ASHA with Optuna, or a list of fixed runs). All that the
engine knows it keeps in a :class:`~eig_tune.hpo.state.SearchState`: after any crash a new engine on the state that the
event log makes goes on where the last one was.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from eig_tune.errors import MEND_AND_RESUME, StorageError
from eig_tune.hpo import added, collapse
from eig_tune.hpo.objectives import front_of
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.policies import Policy
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import CONTINUE, Action, Decision, Report, Status, Trial, stop

#: A trial that reports more often is not kept at every report: 213 MB at width 64, which takes more than a second.
CHECKPOINT_SECONDS = 30.0
_MOST_WORKERS_LOST = 3  # by one trial, without a new report or checkpoint in between


class Engine:
    """The trials of one search.

    Args:
        policy: what is tried, and how far each trial is trained.
        state: what has happened so far; trials already in it are taken over.
        observers: notified of every event, after it is in the state.
    """

    def __init__(self, policy: Policy, state: SearchState, observers: Sequence[Observer] = ()) -> None:
        self.policy = policy
        self.state = state
        self._observers: Sequence[Observer] = ()  # they catch up by themselves with what is in the state now
        self._workers_lost: Counter[int] = Counter()
        self._halted: str | None = None
        for number, params in added.of_notes(state.notes).items():
            policy.add(number, params)
        self._add(policy.requested())
        self._carry_out_what_was_decided()
        self._front = self._front_of(self.finished())
        self._cut_short = [trial for trial in state.trials.values() if trial.status == "running"]
        self._replay()
        self._stop_unpromotable()
        self._observers = observers

    def propose(self, ray_trial_id: str = "") -> Trial | None:
        """The next trial to run: one that was cut short, a promoted or a new one; None when there is none now.

        Args:
            ray_trial_id: by which Ray knows the trial.
        """
        num_known = len(self.state.trials)
        if self._cut_short:
            trial: Trial | None = self._cut_short.pop(0)
        else:
            trial = self._promoted() or self._new_trial() or self._last_resort()
        if trial is not None:
            if trial.ended and trial.checkpoint is not None:  # which is deleted
                self.state.checkpoint(trial.number, None, 0)
            self.state.start(trial.number, ray_trial_id)
            if trial.number < num_known:
                self._notify(lambda observer: observer.trial_resumed(trial))
        return trial

    def _add(self, requested: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the trials that a person has asked for: they are the next that are proposed."""
        for request, params in requested.items():
            number = added.note(self.state, request, params)
            if number is not None:
                self.policy.add(number, params)

    def _promoted(self, force: bool = False) -> Trial | None:
        number = self.policy.promote(force)
        return None if number is None else self.state.trials[number]

    def _new_trial(self) -> Trial | None:
        number = len(self.state.trials)
        if number >= self.policy.num_trials:
            return None
        trial = self.state.propose(number, self.policy.propose(number))
        self._notify(lambda observer: observer.trial_started(trial))
        return trial

    def _last_resort(self) -> Trial | None:
        """When all trials have been tried and none runs: the best paused one, if none has finished. Else all that are
        still paused are stopped."""
        if any(trial.status == "running" for trial in self.state.trials.values()):
            return None
        trial = None if self._front else self._promoted(force=True)
        if trial is None:
            self._stop_all(self.policy.still_paused())
        return trial

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> Report:
        """Take a trial's report; the decision in it says whether the trial goes on.

        A report that came before (its trial was set back to a checkpoint) gets the decision that it got then. If that
        was to pause, or the trial has paused there or later, it has been promoted since, and goes on.
        """
        trial = self.state.trials[number]
        if step in trial.reports:
            before, passed = trial.reports[step], step <= (trial.paused_at or 0)
            return replace(before, decision=CONTINUE) if passed or before.decision.action is Action.PAUSE else before
        report = self.state.report(number, step, metrics, self._decide(trial, step, metrics))
        del self._workers_lost[number]
        self._notify(lambda observer: observer.trial_reported(trial, report))
        self._stop_unpromotable()
        return report

    def place(self, number: int, host: str) -> None:
        """A trial, which is about to report, trains on the machine ``host``."""
        if host and host != self.state.trials[number].host:
            self.state.place(number, host)

    def _decide(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> Decision:
        if (fault := self._fault(metrics)) is not None:
            return stop("failed", f"{fault} at step {step}")
        return self.policy.decide(trial, step, metrics)

    def _fault(self, metrics: Mapping[str, float]) -> str | None:
        """What makes a report useless: a metric that is NaN or infinite, or one of an objective or a constraint that is
        missing."""
        if (name := collapse.not_a_number(metrics)) is not None:
            return f"{name} is not a number"
        needed = (*self.policy.objectives, *self.policy.constraints)
        missing = next((name for name in needed if name not in metrics), None)
        return None if missing is None else f"{missing} is missing"

    def needs_checkpoint(self, number: int, step: int) -> bool:
        """Whether a trial's weights are to be kept at its report of ``step``, which has just come: at each rung, where
        the trial pauses or ends, and else when its checkpoint before is :data:`CHECKPOINT_SECONDS` old.

        So what a trial has trained since its checkpoint is never more than those seconds when it reports and goes on
        without one, whenever it is killed: a step that comes again, because reports are newer than the checkpoint, is
        asked about as any other.
        """
        trial = self.state.trials[number]
        if step in self.policy.rungs or trial.reports[step].decision.action is not Action.CONTINUE:
            return True
        since = trial.at if trial.checkpoint_at is None else trial.checkpoint_at
        return self.state.now() - since >= CHECKPOINT_SECONDS

    def checkpointed(self, number: int, path: str, step: int) -> str | None:
        """The checkpoint of ``step`` is whole; the one before it, now free to be deleted, is returned."""
        trial = self.state.trials[number]
        older = trial.checkpoint
        self.state.checkpoint(number, path, step)
        del self._workers_lost[number]
        self._notify(lambda observer: observer.trial_checkpointed(trial))
        return older

    def carry_out(self, number: int) -> None:
        """Pause or end a trial, as was decided at its last report.

        If the decision was to go on, the whole search is being stopped, and nothing happens: the trial goes on when
        the search is resumed.
        """
        trial = self.state.trials[number]
        match trial.decision.action:
            case Action.PAUSE:
                self.state.pause(number)
                self.policy.on_paused(number)
                self._stop_unpromotable()
            case Action.STOP:
                self._end(number, trial.decision.status, trial.why)

    def fail(self, number: int, reason: str) -> None:
        """A trial cannot go on."""
        self._end(number, "failed", reason)

    def set_back(self, number: int, to_earlier: bool) -> None:
        """The newest checkpoint of a trial cannot be used: it goes on from its beginning, or from the one before."""
        trial = self.state.trials[number]
        location, step = (to_earlier and trial.previous_checkpoint) or (None, 0)
        self.state.checkpoint(number, location, step)
        self._cut_short.append(trial)

    def on_worker_lost(self, number: int, reason: str, storage: bool = False) -> None:
        """The process that trains a trial is gone: the trial goes on from its checkpoint.

        When it loses one worker after the other without a new report or checkpoint, the trial itself must be the cause,
        and it fails. A search may lose any number of nodes.

        Args:
            number: the trial's.
            reason: why the worker is gone, for a person.
            storage: the worker could not read or write its checkpoint, of which no trial is the cause; when that does
                not end, the search halts.
        """
        self._workers_lost[number] += 1
        trial = self.state.trials[number]
        if trial.decision.action is not Action.CONTINUE:
            self.carry_out(number)
        elif self._workers_lost[number] <= _MOST_WORKERS_LOST:
            self._cut_short.append(trial)
        elif storage:
            self.halt(f"{reason}; {MEND_AND_RESUME}")
        else:
            self.fail(number, reason)

    def heartbeat(self) -> None:
        """Called several times a second while trials run: what was logged longer than a second ago is on the disk
        afterwards, and observers see that time goes by."""
        self.state.heartbeat()
        requested = self.policy.requested()
        if requested and not self.complete:  # else whoever drives the engine may have ended: they wait for a resume
            self._add(requested)
        self._notify(lambda observer: observer.heartbeat())

    def halt(self, reason: str) -> None:
        """The search cannot go on until a person has mended something."""
        self._halted = reason

    @property
    def halted(self) -> str | None:
        """Why the search cannot go on, or None."""
        return self._halted or self.state.trouble

    def finished(self) -> list[Trial]:
        """Trials that were trained to the full budget."""
        return [trial for trial in self.state.trials.values() if trial.status == "finished"]

    def front(self) -> list[Trial]:
        """Finished trials that no other finished trial dominates, by number: among those that meet all constraints, or
        among all where none does."""
        return sorted(self._front, key=lambda trial: trial.number)

    def _front_of(self, finished: Sequence[Trial]) -> list[Trial]:
        policy = self.policy
        return front_of(finished, lambda t: t.last.metrics if t.last else {}, policy.objectives, policy.constraints)

    @property
    def complete(self) -> bool:
        """Whether there are as many trials as there shall be, all of which have ended."""
        trials, policy = self.state.trials.values(), self.policy
        return policy.settled and len(trials) >= policy.num_trials and all(trial.ended for trial in trials)

    def _stop_unpromotable(self) -> None:
        self._stop_all(self.policy.unpromotable())

    def _stop_all(self, reasons: Mapping[int, str]) -> None:
        for number, reason in reasons.items():
            self._end(number, "stopped", reason)

    def _end(self, number: int, status: Status, reason: str) -> None:
        trial = self.state.end(number, status, reason)
        self.policy.on_ended(number)
        if status == "finished":
            # What was dominated before still is, so the front and the new trial are enough.
            self._front = self._front_of([*self._front, trial])
        self._notify(lambda observer: observer.trial_ended(trial))

    def _notify(self, event: Callable[[Observer], None]) -> None:
        """Call a hook of every observer. One that cannot write halts the search, since its view would stay behind;
        after a resume it catches up."""
        for observer in self._observers:
            try:
                event(observer)
            except StorageError as error:
                self.halt(f"{error}; {MEND_AND_RESUME}")
            except OSError as error:
                where = error.filename or "the home"
                self.halt(f"{where} cannot be written ({error.strerror or error}); {MEND_AND_RESUME}")

    def _carry_out_what_was_decided(self) -> None:
        """Pause or end the trials about which an earlier process had decided when it ended."""
        for trial in self.state.trials.values():
            if trial.status != "running":
                continue
            match trial.decision.action:
                case Action.PAUSE:
                    self.state.pause(trial.number)
                case Action.STOP:
                    self.state.end(trial.number, trial.decision.status, trial.why)

    def _replay(self) -> None:
        """Bring the policy to where the state's reports, in the order in which they came, have brought it."""
        for trial, report in self.state.reports:
            if self._fault(report.metrics) is None:
                self.policy.replay(trial, report)
        for trial in self.state.trials.values():
            if trial.status == "paused":
                self.policy.on_paused(trial.number)
