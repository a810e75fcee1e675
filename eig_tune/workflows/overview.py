"""Searches of a home as anybody who sees the home can see them, also while they run: from their event logs alone."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from eig_tune.config.asha import rungs
from eig_tune.config.constraints import Bound, Constraints
from eig_tune.errors import EigTuneError, ResultError, StorageError
from eig_tune.home import Home, size_of
from eig_tune.hpo import added
from eig_tune.hpo.candidates import Candidate, candidates_of
from eig_tune.hpo.confirmations import second_seeds, summaries
from eig_tune.hpo.event_log import read_state
from eig_tune.hpo.lock import Seen, look
from eig_tune.hpo.objectives import Objectives
from eig_tune.hpo.selection import choose
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Trial
from eig_tune.paths import check_name
from eig_tune.workflows.notes import CONSTRAINTS_NOTE, END, PLAN, PROCESS

_MOST_NAMED = 10
_UNTIL_NOTED = 10**9  # fresh seeds of a trial whose confirmation has not been noted as complete: it does not count
#: ``stopped`` has ended gently before all was done; the process of a ``killed`` one was killed.
Standing = Literal["running", "complete", "stopped", "killed", "damaged"]


@dataclass(frozen=True)
class Overview:
    """One search, comparison or suggestion of a home.

    Attributes:
        name: of the search.
        home: where it lies.
        state: what its event log says.
        further: the event logs of its second seeds and of its confirmations, where it has them.
        lock: who works on it, or was killed while working on it.
        damage: why its event log cannot be read; empty when it can.
    """

    name: str
    home: Home
    state: SearchState
    further: tuple[SearchState, SearchState]
    lock: Seen
    damage: str = ""

    @property
    def standing(self) -> Standing:
        """What it does now, or how it has ended."""
        if self.lock.held:
            return "running"
        if self.damage:
            return "damaged"
        if self.lock.owner:
            return "killed"
        end = self.state.notes.get(END)
        complete = end["complete"] if end else self._all_ended
        return "complete" if complete and not self.waiting else "stopped"

    @property
    def _all_ended(self) -> bool:
        """Of a search of an earlier version, which did not note its end."""
        return bool(self.trials) and all(trial.ended for trial in self.trials)

    @property
    def why(self) -> str:
        """Why it has ended before all was done, as far as that was noted."""
        return str((self.state.notes.get(END) or {}).get("why", ""))

    @property
    def kind(self) -> str:
        """``search``, ``comparison`` or ``suggestion``."""
        noted = self._noted(PROCESS).get("kind")
        header = self.state.header
        return str(noted or ("comparison" if "winners" in header else "suggestion" if "params" in header else "search"))

    @property
    def search_id(self) -> str:
        """By which MLflow has it."""
        return str(self.state.header.get("id", ""))

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials by number."""
        return tuple(self.state.trials.values())

    @property
    def planned(self) -> int:
        """How many trials there shall be, with those that a person has asked for."""
        plan, taken = self._noted(PLAN), len(added.taken(self.state.notes))
        planned = int(plan.get("trials", 0)) - int(plan.get("added", 0)) + taken
        return max(planned, len(self.trials)) + len(self.waiting)

    @property
    def waiting(self) -> Mapping[str, Mapping[str, Any]]:
        """Trials that a person has asked for and the search has not taken yet: params by id."""
        taken = added.taken(self.state.notes)
        asked = added.read_requests(self.home.added_trials(self.name))
        return {request: params for request, params in asked.items() if request not in taken}

    @property
    def host(self) -> str:
        """On which machine the process works, or has worked, that has written to it last; empty where unknown."""
        return str(self._noted(PROCESS).get("host", ""))

    @property
    def storage(self) -> str | None:
        """Where its checkpoints lie; None where that was not noted."""
        return self._noted(PROCESS).get("storage")

    @property
    def store(self) -> str:
        """The address of its MLflow store without a password; empty where that was not noted."""
        return str(self._noted(PROCESS).get("store", ""))

    @property
    def newest_at(self) -> float:
        """When its event log was written to last, in seconds since the epoch."""
        return float(max(path.stat().st_mtime for path in self._logs() if path.is_file()))

    @property
    def objectives(self) -> Objectives:
        """Metric to direction; empty of what is no search."""
        named = self._spec.get("objectives", {})
        return {str(name): str(direction) for name, direction in named.items()} if self.kind == "search" else {}

    @property
    def constraints(self) -> Constraints:
        """Metric to bound."""
        return {name: Bound.parse(text) for name, text in self.state.notes.get(CONSTRAINTS_NOTE, {}).items()}

    @property
    def rungs(self) -> Sequence[int]:
        """Steps at which trials are compared; none of what is no search."""
        asha, steps = self._spec.get("asha"), self._spec.get("train", {}).get("steps")
        return rungs(asha["grace"], asha["reduction_factor"], steps) if asha and steps else ()

    @cached_property
    def finished(self) -> list[Candidate]:
        """Finished trials with what their parameters have reached on other seeds."""
        second, confirmations = self.further
        finished = [trial for trial in self.trials if trial.status == "finished"]
        return candidates_of(finished, summaries(confirmations, _UNTIL_NOTED), second_seeds(second))

    @cached_property
    def best(self) -> Candidate | None:
        """The best finished trial, by the rule of :mod:`eig_tune.hpo.selection`; None while there is none."""
        return choose(self.finished, self.objectives, self.constraints) if self.finished and self.objectives else None

    @property
    def confirming(self) -> str:
        """How far its confirmation is, in words; empty where there is none yet."""
        names = ("second seeds", "confirmations")
        begun = [(what, state) for what, state in zip(names, self.further, strict=True) if state.trials]
        return ", ".join(f"{what}: {_num_ended(state)} of {_num_planned(state)} ended" for what, state in begun)

    def seconds_left(self) -> float | None:
        """About how long the trials and what confirms them will take, by what was trained since the process has begun;
        None when that cannot be told, or it does not run."""
        began, parts = self._noted(PROCESS).get("at"), (self.state, *self.further)
        steps = sum(int(_plan(part).get("steps", 0)) for part in parts)
        if self.standing != "running" or began is None:
            return None
        runs = [run for part in parts for run in part.trials.values()]
        trained = sum(run.last.step for run in runs if run.last)
        before = sum(max((r.step for r in run.reports.values() if r.at < began), default=0) for run in runs)
        if not before < trained < steps:
            return None
        return float((time.time() - began) / (trained - before) * (steps - trained))

    def size(self) -> int:
        """Bytes that it takes in the home: event logs and reports, checkpoints, pictures and models."""
        folders = (self.home.study(self.name), self.home.artifacts(self.name), self.home.ray / self.name)
        return size_of(*folders)

    def _logs(self) -> tuple[Path, ...]:
        home, name = self.home, self.name
        return home.event_log(name), home.second_seed_event_log(name), home.confirmation_event_log(name)

    @property
    def _spec(self) -> Mapping[str, Any]:
        spec = self.state.header.get("spec")
        return spec if isinstance(spec, dict) else {}

    def _noted(self, name: str) -> Mapping[str, Any]:
        return self.state.notes.get(name) or {}


def _plan(part: SearchState) -> Mapping[str, Any]:
    return part.notes.get(PLAN) or {}


def _num_planned(part: SearchState) -> int:
    return max(int(_plan(part).get("trials", 0)), len(part.trials))


def _num_ended(part: SearchState) -> int:
    return sum(run.ended for run in part.trials.values())


def look_at(home: Home, name: str) -> Overview:
    """The search ``name`` of a home, as it is now.

    Raises:
        ResultError: there is none of that name.
        EigTuneError: no search can have that name.
    """
    check_name(name, "NAME")
    log = home.event_log(name)
    if not log.is_file():
        known = home.searches()
        there = ", ".join([*known[:_MOST_NAMED], *(["…"] if known[_MOST_NAMED:] else [])]) or "none"
        raise ResultError(f"no search {name!r} in {home.path}; there are: {there}")
    try:
        lock = look(log)
    except OSError as error:
        raise StorageError(f"{log} cannot be read ({error.strerror or error})") from error
    try:
        second, confirmations = (
            read_state(path) if path.is_file() else SearchState()
            for path in (home.second_seed_event_log(name), home.confirmation_event_log(name))
        )
        return Overview(name, home, read_state(log), (second, confirmations), lock)
    except EigTuneError as error:
        return Overview(name, home, SearchState(), (SearchState(), SearchState()), lock, str(error))


def look_at_all(home: Home) -> list[Overview]:
    """Every search, comparison and suggestion of a home, that written to last first."""
    return [look_at(home, name) for name in home.searches()]
