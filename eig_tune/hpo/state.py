"""The state of a search: all that has happened, as trials and their reports.

It changes by events only. Here they are kept in memory, for plans, simulations and tests;
:class:`~eig_tune.hpo.event_log.EventLog` also keeps them in a file, from which the same state is made again (as Optuna
has an in-memory storage beside one that is a journal). The events, each with ``at``, seconds since the epoch:

    search      header                                   what makes this search this search
    note        notes                                    anything else that has to be known after a restart, by name
    trial       trial, values                            a trial is proposed; ``values`` are its hyperparameters
    start       trial, runner                            it begins, or goes on, as Ray's trial ``runner``
    host        trial, host                              it trains on this machine from now on
    report      trial, step, metrics, verdict, reason    the status that the decision leads to, and why
    checkpoint  trial, path, step, in                    its newest checkpoint is whole; ``path`` is below ``in``
    pause       trial                                    it waits at its checkpoint
    end         trial, status, reason                    it will report no more
"""

import time
from collections.abc import Mapping
from typing import Any

from eig_tune.hpo.trial import Decision, Report, Status, Trial

Event = dict[str, Any]


class SearchState:
    """Trials, reports, notes and header of one search, in memory.

    The times of events never go back, whatever the machine's clock does.

    Args:
        root: the storage; the paths of checkpoints in it are noted without it, so that it may be moved.

    Attributes:
        trials: all trials by number.
        reports: every report with its trial, in the order they came.
        header: what makes this search this search.
        notes: anything else that has to be known after a restart.
        num_events: how many events have made this state.
    """

    def __init__(self, root: str = "") -> None:
        self.trials: dict[int, Trial] = {}
        self.reports: list[tuple[Trial, Report]] = []
        self.header: dict[str, Any] = {}
        self.notes: dict[str, Any] = {}
        self.num_events = 0
        self._root = root
        self._now, self._clock = 0.0, time.monotonic()

    def begin(self, header: Mapping[str, Any]) -> None:
        """Note what makes this search this search."""
        self._record({"event": "search", "header": dict(header)})

    def note(self, notes: Mapping[str, Any]) -> None:
        """Note anything else that has to be known after a restart; a note of the same name is replaced."""
        self._record({"event": "note", "notes": dict(notes)})

    def propose(self, number: int, params: Mapping[str, Any]) -> Trial:
        """Add a new trial."""
        self._record({"event": "trial", "trial": number, "values": dict(params)})
        return self.trials[number]

    def start(self, number: int, ray_trial_id: str) -> None:
        """A trial begins, or goes on, as Ray's trial ``ray_trial_id``."""
        self._record({"event": "start", "trial": number, "runner": ray_trial_id})

    def place(self, number: int, host: str) -> None:
        """A trial trains on the machine ``host`` from now on."""
        self._record({"event": "host", "trial": number, "host": host})

    def report(self, number: int, step: int, metrics: Mapping[str, float], decision: Decision) -> Report:
        """Add a trial's report with the decision on it."""
        event = {"event": "report", "trial": number, "step": step, "metrics": dict(metrics)}
        self._record({**event, "verdict": decision.status, "reason": decision.reason})
        return self.trials[number].reports[step]

    def checkpoint(self, number: int, location: str | None, step: int) -> None:
        """A trial's newest checkpoint, of ``step``, is whole and lies at ``location``; None when it has none."""
        event = {"event": "checkpoint", "trial": number, "path": location, "step": step}
        if self._root and location is not None and location.startswith(f"{self._root}/"):
            event |= {"path": location.removeprefix(f"{self._root}/"), "in": self._root}
        self._record(event)

    def pause(self, number: int) -> None:
        """A trial waits at its checkpoint."""
        self._record({"event": "pause", "trial": number})

    def end(self, number: int, status: Status, reason: str) -> Trial:
        """A trial is over; nothing will be added to it."""
        self._record({"event": "end", "trial": number, "status": status, "reason": reason})
        return self.trials[number]

    def sync(self) -> None:
        """Make sure that all events outlast a power failure; in memory there is nothing to do."""

    def heartbeat(self) -> None:
        """Called several times a second while trials run; in memory there is nothing to do."""

    def now(self) -> float:
        """Seconds since the epoch by the machine's clock; when that has been set back, the time that was shown last and
        what has gone by since."""
        before, self._clock = self._clock, time.monotonic()
        self._now = max(time.time(), self._now + self._clock - before)
        return self._now

    @property
    def trouble(self) -> str | None:
        """Why no event can be recorded any more, or None."""
        return None

    def apply(self, event: Event) -> None:
        """Bring the state to where ``event`` brings it.

        Raises:
            KeyError, TypeError, AttributeError: it is no event of a search in this state.
        """
        self.num_events += 1
        self._now = max(self._now, event.get("at", 0.0))
        match event["event"]:
            case "search":
                self.header = event["header"]
            case "note":
                self.notes |= event["notes"]
            case "trial":
                number, params = event["trial"], event["values"]
                self.trials[number] = Trial(number, params, self._now, newest_event=self.num_events)
            case _:
                self._apply_to(self.trials[event["trial"]], event)

    def _apply_to(self, trial: Trial, event: Event) -> None:
        trial.newest_event = self.num_events
        match event["event"]:
            case "start":
                trial.ray_trial_id, trial.status = event["runner"], "running"
                trial.reason, trial.ended_at = "", None  # it may have been stopped before
            case "host":
                trial.host = event["host"]
            case "report":
                decision = Decision(event["verdict"], event["reason"])
                report = Report(event["step"], event["metrics"], self._now, decision)
                trial.reports[report.step] = report
                self.reports.append((trial, report))
            case "checkpoint":
                _apply_checkpoint(trial, event)
                trial.checkpoint_at = self._now
            case "pause":
                trial.status, trial.paused_at = "paused", trial.last.step if trial.last else None
                trial.reason, trial.ended_at = "", None  # it may have finished, before there were more steps
            case "end":
                trial.status, trial.reason, trial.ended_at = event["status"], event["reason"], self._now

    def _record(self, event: Event) -> None:
        event["at"] = self.now()
        self._write(event)
        self.apply(event)

    def _write(self, event: Event) -> None:
        """Keep an event, before anything is made of it; in memory its state is enough."""


def _apply_checkpoint(trial: Trial, event: Event) -> None:
    path, root, step = event["path"], event.get("in"), event["step"]
    # A trial that is set back has nothing before this checkpoint to be set back to once more.
    has_previous = trial.checkpoint and step > trial.checkpoint_step
    trial.previous_checkpoint = (str(trial.checkpoint), trial.checkpoint_step) if has_previous else None
    trial.path_in_storage = None if root is None else path
    trial.checkpoint = path if root is None else f"{root}/{path}"
    trial.checkpoint_step = step
