"""Trials of a person's own: asked for in a file from any shell, and noted in the event log when the search takes them.

A request is a line of the file, with an id and params. The process that runs the search gives it the number of a trial
that is still to be proposed, by a note in the event log, which is one event: no kill loses a request or takes it twice.
Requests that nobody has taken, because the search has ended, wait until it goes on.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eig_tune.errors import StorageError
from eig_tune.hpo.state import SearchState
from eig_tune.training.config import ParamValue

_NOTE = "added"
_LOOK_EVERY_SECONDS = 1.0
_MOST_BYTES = 2**22
Params = Mapping[str, ParamValue]


class TrialRequests:
    """The requests in a file.

    Args:
        file: where they are; none need be there yet.
        check: the params as trials of the search have them, or None if no trial can have them.
    """

    def __init__(self, file: Path, check: Callable[[Mapping[str, Any]], Params | None]) -> None:
        self._file, self._check = file, check
        self._size, self._look_at = 0, 0.0

    def new(self) -> Mapping[str, Params]:
        """Params by id of all requests, if there are new ones; looked for once a second."""
        now = time.monotonic()
        if now < self._look_at:
            return {}
        self._look_at, before = now + _LOOK_EVERY_SECONDS, self._size
        self._size = self._file.stat().st_size if self._file.is_file() else 0
        if self._size == before:
            return {}
        checked = {request: self._check(params) for request, params in read_requests(self._file).items()}
        return {request: params for request, params in checked.items() if params is not None}


def request_trial(file: Path, params: Params) -> str:
    """Ask for a trial with these params; others are left to the sampler. The request's id.

    Raises:
        StorageError: the file cannot be written.
    """
    request = uuid.uuid4().hex
    line = json.dumps({"id": request, "params": dict(params), "at": time.time()}) + "\n"
    try:
        with file.open("ab", buffering=0) as opened:
            opened.write(line.encode())
            os.fsync(opened.fileno())
    except OSError as error:
        raise StorageError(f"{file} cannot be written ({error.strerror or error})") from error
    return request


def read_requests(file: Path) -> dict[str, Mapping[str, Any]]:
    """Params by id of all requests in the file; a line that is none is left out."""
    try:
        with file.open("rb") as opened:
            lines = opened.read(_MOST_BYTES).split(b"\n")[:-1]
    except OSError:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        try:
            request = json.loads(line)
            found[str(request["id"])] = dict(request["params"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def of_notes(notes: Mapping[str, Any]) -> dict[int, Params]:
    """Params by the number of their trial, of all requests that were taken."""
    return {int(number): entry["params"] for number, entry in notes.get(_NOTE, {}).items()}


def taken(notes: Mapping[str, Any]) -> dict[str, int]:
    """The number of the trial by the id of its request."""
    return {str(entry["id"]): int(number) for number, entry in notes.get(_NOTE, {}).items()}


def note(state: SearchState, request: str, params: Params) -> int | None:
    """Note that the next trial that has no params yet is to have these; its number, or None if it was noted before."""
    before = taken(state.notes)
    if request in before:
        return None
    numbers, number = set(before.values()), len(state.trials)
    while number in numbers:
        number += 1
    entry = {"id": request, "params": dict(params)}
    state.note({_NOTE: {**state.notes.get(_NOTE, {}), str(number): entry}})
    return number
