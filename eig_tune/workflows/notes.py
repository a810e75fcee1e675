"""What an event log notes of its search for those who look on from another shell: who runs it, where, how much there is
to do, and how it has ended. Event logs of earlier versions have none of these notes."""

import os
import socket

from eig_tune.hpo import added
from eig_tune.hpo.state import SearchState

PROCESS, PLAN, END = "process", "plan", "end"
CONSTRAINTS_NOTE = "constraints"  # metric to bound; of a search that has some


def note_begin(event_log: SearchState, kind: str, storage: str, store: str) -> None:
    """Note that this process works on the search from now on.

    Args:
        event_log: of its trials.
        kind: ``search``, ``comparison`` or ``suggestion``.
        storage: where its checkpoints lie.
        store: the address of the MLflow store, without a password.
    """
    who = {"pid": os.getpid(), "host": socket.gethostname(), "at": event_log.now()}
    event_log.note({PROCESS: {"kind": kind, **who, "storage": storage, "store": store}, END: None})


def note_plan(event_log: SearchState, trials: int, steps: int) -> None:
    """Note how many trials there shall be, a person's own that were taken so far among them, and how many optimisation
    steps all will make, about."""
    plan = {"trials": trials, "added": len(added.taken(event_log.notes)), "steps": steps}
    if event_log.notes.get(PLAN) != plan:
        event_log.note({PLAN: plan})


def note_end(event_log: SearchState, complete: bool, why: str) -> None:
    """Note that this process does not work on the search any more, whether all is done, and why not if it is not."""
    event_log.note({END: {"complete": complete, "why": why}})
