"""Writing a search into MLflow from a background thread, so that no trial ever waits for it.

One parent run per search, one child run per trial, one grandchild per confirmation. The thread gathers for ten
seconds, then sends what belongs to one run in one request. Everything that is written is also in the search's event
log, which is the spool: a job is tried again until the store takes it, and what a killed process has not written, the
next one writes. Runs are found again by their tags, and MLflow keeps one copy of a metric that comes twice with the
same step and time, so writing again is harmless.
"""

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from PIL import Image

from eig_tune.errors import EigTuneError
from eig_tune.tracking.address import masked
from eig_tune.tracking.artifacts import upload
from eig_tune.tracking.corrections import correct
from eig_tune.tracking.doubles import delete_double_runs, delete_run, make_one
from eig_tune.tracking.own_runs import SEARCH_TAG
from eig_tune.tracking.spool import LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG, Batch, Job, cut, gathered
from eig_tune.tracking.store import (
    ENDED_TAG,
    KEY_TAG,
    KIND_TAG,
    NOTE_TAG,
    PARENT_TAG,
    USER_TAG,
    Store,
    first_line,
    readable_errors,
    user_name,
)

# A request costs MLflow some 5 ms and each report in it one more; its UI looks again every half minute at most.
_GATHERING_SECONDS = 10.0
_MOST_METRICS, _MOST_PARAMS, _MOST_TAGS = 800, 100, 100  # MLflow takes 1,000 of all in one request
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_PATIENCE_AT_THE_END = 180.0
_SECONDS_FOR_ONE_MORE_JOB = 5.0


class SearchTracker:
    """The MLflow runs of one search.

    Args:
        store: an open store.
        kind: ``search`` or ``comparison``.
        search_id: by which its runs are found again; those of other searches in the same experiment are not touched.
        params: what to log as the parent's parameters.
        tags: further tags of the parent run.

    Attributes:
        is_new: the store had no parent run of this search before.
        ended: keys of runs, also of earlier processes, of which MLflow has everything, pictures included.
        errors: what could not be written although the store was there.
    """

    def __init__(
        self, store: Store, kind: str, search_id: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> None:
        self._store = store
        self._client = store.client
        self._search_id = search_id
        with readable_errors(store.uri):
            runs = delete_double_runs(store.client, store.runs_of(search_id))
            parent = next((run for run in runs if KEY_TAG not in run.data.tags), None)
            self.is_new = parent is None
            self.parent_id: str = (parent or self._create_parent(kind, tags)).info.run_id
            self._client.update_run(self.parent_id, status="RUNNING")
            below = [run for run in runs if KEY_TAG in run.data.tags]
            self._adopt(below)
        self._runs = {run.data.tags[KEY_TAG]: str(run.info.run_id) for run in below}
        self.ended = {run.data.tags[KEY_TAG] for run in below if ENDED_TAG in run.data.tags}
        self.errors: list[str] = []
        self._lacking = set[str | None]()  # runs of which something could not be written; a resume tries again
        self._queue: queue.Queue[Batch | Job] = queue.Queue()
        noted = {} if parent is None else parent.data.params
        self._queue.put(Batch(None, params={name: value for name, value in params.items() if name not in noted}))
        self._closing = threading.Event()
        self._retrying = False
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._write, name="mlflow-writer", daemon=True)
        self._thread.start()

    def start_run(
        self, key: str, name: str, params: Mapping[str, Any], at: float, kind: str = "trial", below: str | None = None
    ) -> None:
        """A run below the parent's, or below the run ``below``; ``at`` is seconds since the epoch."""
        self._queue.put(Job(key, lambda: self._create_run(key, name, at, kind, below)))
        self._queue.put(Batch(key, params=dict(params)))

    def log_metrics(self, key: str, step: int, metrics: Mapping[str, float], at: float) -> None:
        """Metrics of a run at ``step``."""
        self._queue.put(Batch(key, metrics=[(n, value, int(at * 1000), step) for n, value in metrics.items()]))

    def correct_metrics(
        self, key: str, step: int, metrics: Mapping[str, float], at: float, tags: Mapping[str, str]
    ) -> None:
        """Metrics of a run that may have other values already: these are what is read back from now on.

        Args:
            tags: set when the metrics are there.
        """
        told_at = int(at * 1000)
        self._queue.put(Job(key, lambda: correct(self._client, self._runs[key], metrics, step, told_at, tags)))

    def log_picture(self, key: str, name: str, png: bytes, step: int, at: float) -> None:
        """One of a series of pictures, which the UI shows with a slider over the steps.

        The UI takes one picture a step, so a picture that comes twice does no harm.
        """

        def write() -> None:
            with Image.open(BytesIO(png)) as picture:
                self._client.log_image(self._runs[key], picture, key=name, step=step, timestamp=int(at * 1000))

        self._queue.put(Job(key, write, aside=True))

    def set_tags(self, key: str | None, tags: Mapping[str, str]) -> None:
        """Tags of a run, or of the parent run when ``key`` is None."""
        self._queue.put(Batch(key, tags=dict(tags)))

    def note(self, markdown: str) -> None:
        """What the UI shows as the parent run's description."""
        self.set_tags(None, {NOTE_TAG: markdown})

    def address(self, artifact: str) -> str:
        """Where the UI's server has an artifact of the parent run, for a picture in its note."""
        return f"get-artifact?path={quote(artifact)}&run_uuid={self.parent_id}"

    def page(self, artifact: str) -> str:
        """The page on which the UI shows an artifact of the parent run, for a link in its note."""
        return f"#/experiments/{self._store.experiment_id}/runs/{self.parent_id}/artifacts/{quote(artifact)}"

    def end_run(self, key: str, status: str, tags: Mapping[str, str], at: float) -> None:
        """The run is over; ``status`` is MLflow's FINISHED, KILLED or FAILED."""
        ended_at = int(at * 1000)
        self._queue.put(
            Job(key, lambda: self._client.set_terminated(self._runs[key], status=status, end_time=ended_at))
        )
        self._queue.put(Batch(key, tags={**tags, ENDED_TAG: status}))

    def once_ended(self, key: str, do: Callable[[], None]) -> None:
        """Do something about a run when MLflow has everything of it; called in the background thread."""
        self._queue.put(Job(key, lambda: do() if key in self.ended else None))

    def log_artifacts(self, key: str | None, prepare: Callable[[Path], object], folder: str = "") -> None:
        """Log the files that ``prepare`` writes into a directory; for the parent run when ``key`` is None.

        ``prepare`` is called in the background thread.
        """

        def write() -> None:
            with tempfile.TemporaryDirectory() as directory:
                prepare(Path(directory))
                upload(self._client, self._run_id(key), Path(directory), folder)

        self._queue.put(Job(key, write))

    def __enter__(self) -> "SearchTracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What is waiting is written also when the search cannot go on."""
        if isinstance(error, EigTuneError):
            self.close("KILLED", {})

    def close(self, status: str, tags: Mapping[str, str], patience: Callable[[], float] | None = None) -> None:
        """Write everything that is waiting, then end the parent run.

        A store that is down is waited for, but not for ever: a resume writes what is missing.

        Args:
            patience: for how many seconds; asked again and again, since somebody may want it to end at any moment.
        """

        self._queue.put(Batch(None, tags=dict(tags)))
        self._queue.put(Job(None, self._delete_doubles))
        self._queue.put(Job(None, lambda: self._client.set_terminated(self.parent_id, status=status), last=True))
        self._closing.set()
        began = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.1)
            late = time.monotonic() - began - (_PATIENCE_AT_THE_END if patience is None else patience())
            if late > 0:
                self._given_up.set()
            if patience is not None and late > _SECONDS_FOR_ONE_MORE_JOB:
                self.errors.append("what was left to write took too long; nothing is lost: --resume will write it")
                return

    def _write(self) -> None:
        while True:
            waiting = [self._queue.get()]
            self._closing.wait(_GATHERING_SECONDS)
            while not self._queue.empty():
                waiting.append(self._queue.get())
            for job in gathered(waiting):
                if not self._do(job):
                    where = masked(self._store.uri)
                    self.errors.append(
                        f"{where} is not answering; nothing is lost: --resume will write what is missing"
                    )
                    return
                if isinstance(job, Job) and job.last:
                    return

    def _do(self, job: Batch | Job) -> bool:
        """Do a job, as often as it takes while the store is down; False when the time for that has run out."""
        if job.key in self._lacking and job.key not in self._runs:
            return True  # its run could not be made, which has been told
        wait, answered_before = _FIRST_WAIT, False
        self._retrying = False
        while True:
            try:
                if isinstance(job, Batch):
                    self._send(job)
                else:
                    job.do()
                return True
            except Exception as error:
                # A picture or a metric less must not end a search; what went wrong is told at its end.
                # The store may have come back between the job and the question, so the job gets another chance.
                answers = self._store.answers()
                if answers and answered_before:
                    self.errors.append(first_line(error, self._store.uri))
                    self._lacking.add(job.key)
                    return True
                answered_before = answers
            if self._given_up.wait(wait):
                return False
            self._retrying = True
            wait = min(2 * wait, _LONGEST_WAIT)

    def _create_parent(self, kind: str, tags: Mapping[str, str]) -> Any:
        own = {KIND_TAG: kind, SEARCH_TAG: self._search_id, USER_TAG: user_name()}
        where, name = self._store.experiment_id, self._store.name
        return make_one(
            lambda: self._client.create_run(where, run_name=name, tags={**own, **tags}),
            lambda: [run for run in self._store.runs_of(self._search_id) if KEY_TAG not in run.data.tags],
            lambda double: delete_run(self._client, double.info.run_id),
        )

    def _delete_doubles(self) -> None:
        """A request that was repeated may have been answered twice, the second time long after."""
        delete_double_runs(self._client, self._store.runs_of(self._search_id), {self.parent_id, *self._runs.values()})

    def _adopt(self, runs: Iterable[Any]) -> None:
        """Put trials below the parent run; that which they were below may have been removed for good."""
        for run in runs:
            if run.data.tags[KIND_TAG] == "trial" and run.data.tags.get(PARENT_TAG) != self.parent_id:
                self._client.set_tag(run.info.run_id, PARENT_TAG, self.parent_id)

    def _create_run(self, key: str, name: str, at: float, kind: str, below: str | None) -> None:
        if key in self._runs:
            return
        parent = self.parent_id if below is None else self._runs[below]
        tags = {KIND_TAG: kind, KEY_TAG: key, PARENT_TAG: parent, SEARCH_TAG: self._search_id}
        where, start = self._store.experiment_id, int(at * 1000)
        run = make_one(
            lambda: self._client.create_run(where, start, tags, cut(name, LONGEST_NAME)),
            lambda: self._store.runs_of(self._search_id, key),
            lambda double: delete_run(self._client, double.info.run_id),
            again=self._retrying,
        )
        self._runs[key] = str(run.info.run_id)

    def _run_id(self, key: str | None) -> str:
        return self.parent_id if key is None else self._runs[key]

    def _send(self, batch: Batch) -> None:
        from mlflow.entities import Metric, Param, RunTag

        params = [Param(name, cut(str(value), LONGEST_PARAM)) for name, value in batch.params.items()]
        metrics = [Metric(*metric) for metric in batch.metrics]
        has_ended = ENDED_TAG in batch.tags and batch.key not in self._lacking
        tags = [
            RunTag(name, cut(value, LONGEST_TAG))
            for name, value in batch.tags.items()
            if name != ENDED_TAG or has_ended
        ]
        while params or metrics or tags:
            self._client.log_batch(
                self._run_id(batch.key), metrics[:_MOST_METRICS], params[:_MOST_PARAMS], tags[:_MOST_TAGS]
            )
            del params[:_MOST_PARAMS], metrics[:_MOST_METRICS], tags[:_MOST_TAGS]
        if has_ended and batch.key is not None:
            self.ended.add(batch.key)
