"""Writing to MLflow in a background thread, so that no trial ever waits for it.

The thread gathers for ten seconds, then sends what belongs to one run in one request, the last one where the run has
also ended. A request is repeated until the store takes it.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from eig_tune.tracking.address import masked
from eig_tune.tracking.client import first_line
from eig_tune.tracking.store import Store

# A request costs MLflow some 5 ms and each report in it one more; its UI looks again every half minute at most.
_GATHERING_SECONDS = 10.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0  # seconds
_PATIENCE_AT_THE_END = 180.0  # seconds
_SECONDS_FOR_ONE_MORE_JOB = 5.0


@dataclass
class Batch:
    """Parameters, metrics, tags and the description of one run, to be sent together; those of the parent run when
    ``key`` is None. The description is asked for when it is sent."""

    key: str | None
    params: dict[str, Any] = field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)  # name, value, milliseconds, step
    tags: dict[str, str] = field(default_factory=dict)
    note: Callable[[], str] | None = None

    def add_before(self, earlier: "Batch") -> None:
        """Take in the contents of an earlier batch of the same run."""
        self.params = earlier.params | self.params
        self.metrics = earlier.metrics + self.metrics
        self.tags = earlier.tags | self.tags
        self.note = self.note or earlier.note

    def parts(self) -> "list[Batch]":
        """Its parameters, its metrics, its description and its tags, each alone, as far as there are any."""
        each = (
            Batch(self.key, params=self.params),
            Batch(self.key, metrics=self.metrics),
            Batch(self.key, note=self.note),
            Batch(self.key, tags=self.tags),
        )
        return [part for part in each if part.params or part.metrics or part.note or part.tags]


@dataclass(frozen=True)
class Job:
    """Any other request about the run ``key``.

    Attributes:
        ordered: batches that come before it for the same run have to be sent before it.
        last: nothing comes after it.
    """

    key: str | None
    do: Callable[[], None]
    ordered: bool = True
    last: bool = False


def gathered(jobs: Iterable[Batch | Job]) -> list[Batch | Job]:
    """The jobs with batches of one run joined where the last of them stands, as far as no ordered job of that run is
    between them."""
    last_first: list[Batch | Job] = []
    newest: dict[str | None, Batch] = {}
    for job in reversed(list(jobs)):
        if isinstance(job, Batch):
            if job.key in newest:
                newest[job.key].add_before(job)
                continue
            newest[job.key] = job
        elif job.ordered:
            newest.pop(job.key, None)
        last_first.append(job)
    return last_first[::-1]


class Writer:
    """A thread that does batches and jobs in their order.

    Args:
        store: where it writes.
        send: sends a batch.
        has_run: whether the run of a key exists; jobs of a run that could not be made are dropped.
        at_end: called by the thread when it ends.

    Attributes:
        errors: what could not be written although the store could be reached.
        incomplete: keys of runs of which something could not be written; a resume tries again.
        retrying: whether the present job was tried before.
    """

    def __init__(
        self,
        store: Store,
        send: Callable[[Batch], None],
        has_run: Callable[[str | None], bool],
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._send, self._has_run, self._at_end = store, send, has_run, at_end
        self.errors: list[str] = []
        self.incomplete = set[str | None]()
        self.retrying = False
        self._queue: queue.Queue[Batch | Job] = queue.Queue()
        self._closing, self._given_up = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, *jobs: Batch | Job) -> None:
        """Have something written; returns at once."""
        for job in jobs:
            self._queue.put(job)

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, for ``timeout`` seconds at most."""
        self._thread.join(timeout)

    def close(self, patience: Callable[[], float] | None = None) -> None:
        """Wait until everything up to the job that is the last is written.

        A store that is down is waited for, but not for ever: a resume writes what is missing.

        Args:
            patience: for how many seconds; asked again and again, since the user may interrupt at any moment.
        """
        self._closing.set()
        began = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.1)
            late = time.monotonic() - began - (_PATIENCE_AT_THE_END if patience is None else patience())
            if late > 0:
                self._given_up.set()
            if patience is not None and late > _SECONDS_FOR_ONE_MORE_JOB:
                self.errors.append("writing the rest to MLflow took too long; --resume writes it")
                return

    def _run(self) -> None:
        try:
            self._write()
        finally:
            self._at_end()

    def _write(self) -> None:
        """Until the job that is the last is done, or the store does not answer and time has run out."""
        while True:
            waiting = [self._queue.get()]
            self._closing.wait(_GATHERING_SECONDS)
            while not self._queue.empty():
                waiting.append(self._queue.get())
            for job in gathered(waiting):
                if not self._do(job):
                    where = masked(self._store.uri)
                    self.errors.append(
                        f"the MLflow store {where} does not answer; --resume writes what is missing there"
                    )
                    return
                if isinstance(job, Job) and job.last:
                    return

    def _do(self, job: Batch | Job) -> bool:
        """Do a job, as often as it takes while the store is down.

        Returns:
            False when the time for that has run out.
        """
        if job.key in self.incomplete and not self._has_run(job.key):
            return True  # its run could not be made, which is among the errors already
        wait, answered_before = _FIRST_WAIT, False
        self.retrying = False
        while True:
            try:
                if isinstance(job, Batch):
                    self._send(job)
                else:
                    job.do()
                return True
            except Exception as error:
                # A missing picture or metric must not end a search; the errors are shown at its end.
                # The store may have come back between the job and the question, so the job gets another chance.
                answers = self._store.answers()
                if answers and answered_before and isinstance(job, Batch) and len(parts := job.parts()) > 1:
                    return all(self._do(part) for part in parts)  # what is refused takes nothing else with it
                if answers and answered_before:
                    self.errors.append(first_line(error, self._store.uri))
                    self.incomplete.add(job.key)
                    return True
                answered_before = answers
            if self._given_up.wait(wait):
                return False
            self.retrying = True
            wait = min(2 * wait, _LONGEST_WAIT)
