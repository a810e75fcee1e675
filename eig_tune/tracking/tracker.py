"""The MLflow runs of one search: one parent run, one child run per trial, one grandchild per confirmation.

Everything that is written is also in the search's event log, so that what a killed process has not written, the next
one writes. Runs are found again by their tags, and MLflow keeps one copy of a metric that is logged twice with the same
step and time, so that writing again is harmless.
"""

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image

from eig_tune.errors import EigTuneError
from eig_tune.tracking.artifacts import download, download_series, upload
from eig_tune.tracking.client import readable_errors
from eig_tune.tracking.client_process import ClientProcess
from eig_tune.tracking.duplicates import delete_duplicate_runs, delete_run, make_once
from eig_tune.tracking.limits import (
    LONGEST_NAME,
    LONGEST_PARAM,
    MOST_METRICS,
    MOST_PARAMS,
    MOST_TAGS,
    cut,
    milliseconds,
)
from eig_tune.tracking.pages import RunPage, RunsTable, is_server, server_of, table_page
from eig_tune.tracking.replace_metrics import replace_metrics
from eig_tune.tracking.store import Store, user_name
from eig_tune.tracking.tags import (
    DESCRIPTION_TAG,
    ENDED_TAG,
    KEY_TAG,
    KIND_TAG,
    LONGEST_TAG,
    PARENT_TAG,
    SEARCH_TAG,
    USER_TAG,
)
from eig_tune.tracking.writer import Batch, Job, Writer


class SearchTracker:
    """Writes the MLflow runs of one search, in a background thread unless a method says otherwise.

    The thread's requests to MLflow are made by a process of its own, which ends with the thread and with this process.

    Args:
        store: an open store.
        kind: ``search``, ``comparison`` or ``suggestion``.
        search_id: by which its runs are found again; those of other searches in the same experiment are not touched.
        params: the parent run's parameters.
        tags: further tags of the parent run.

    Attributes:
        is_new: the store had no parent run of this search before.
        ended: keys of runs, also of earlier processes, of which MLflow has everything, pictures included.
        found: tags that runs of earlier processes had when this one began, by the runs' keys.
        errors: what could not be written although the store could be reached.
    """

    def __init__(
        self, store: Store, kind: str, search_id: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> None:
        self._store, self._client, self._search_id = store, store.client, search_id
        with readable_errors(store.uri):
            runs = delete_duplicate_runs(store.client, store.runs_of(search_id))
            parent = next((run for run in runs if KEY_TAG not in run.data.tags), None)
            self.is_new = parent is None
            self.parent_id: str = (parent or self._create_parent(kind, tags)).info.run_id
            self._client.update_run(self.parent_id, status="RUNNING")
            below = [run for run in runs if KEY_TAG in run.data.tags]
            self._adopt(below)
        self._runs = {run.data.tags[KEY_TAG]: str(run.info.run_id) for run in below}
        self.found = {run.data.tags[KEY_TAG]: run.data.tags for run in below}
        self.ended = {key for key, of_run in self.found.items() if ENDED_TAG in of_run}
        self._client = ClientProcess(store.uri)
        self._store = replace(store, client=self._client)
        self._writer = Writer(self._store, self._send, self.has_run, at_end=self._client.end)
        self.errors = self._writer.errors
        logged = {} if parent is None else parent.data.params
        self._writer.put(Batch(None, params={name: value for name, value in params.items() if name not in logged}))
        self._writer.start()

    def start_run(
        self, key: str, name: str, params: Mapping[str, Any], at: float, kind: str = "trial", below: str | None = None
    ) -> None:
        """A run below the parent run, or below the run ``below``; ``at`` is seconds since the epoch."""
        self._writer.put(
            Job(key, lambda: self._create_run(key, name, at, kind, below)), Batch(key, params=dict(params))
        )

    def log_metrics(self, key: str | None, step: int, metrics: Mapping[str, float], at: float) -> None:
        """Metrics of a run, or of the parent run when ``key`` is None; ``at`` is seconds since the epoch."""
        self._writer.put(Batch(key, metrics=[(n, value, milliseconds(at), step) for n, value in metrics.items()]))

    def replace_metrics(
        self, key: str | None, step: int, at: float, metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        """Metrics of a run, or of the parent run when ``key`` is None, that may have other values already, which these
        replace; ``tags`` are set with them."""
        then = milliseconds(at)
        self._writer.put(Job(key, lambda: replace_metrics(self._client, self._run_id(key), metrics, step, then, tags)))

    def log_picture(self, key: str, name: str, png: bytes, step: int, at: float) -> None:
        """One of a series of pictures, which the UI shows with a slider over the steps.

        The UI takes one picture a step, so a picture that comes twice does no harm.
        """

        def write() -> None:
            with Image.open(BytesIO(png)) as picture:
                self._client.log_image(self._runs[key], picture, key=name, step=step, timestamp=milliseconds(at))

        self._writer.put(Job(key, write, ordered=False))

    def set_tags(self, key: str | None, tags: Mapping[str, str]) -> None:
        """Tags of a run, or of the parent run when ``key`` is None."""
        self._writer.put(Batch(key, tags=dict(tags)))

    def describe(self, markdown: Callable[[], str], key: str | None = None) -> None:
        """The description of a run, which the UI shows, or of the parent run when ``key`` is None; called for in the
        background thread, where the run's page is known. The newest one of several counts."""
        self._writer.put(Batch(key, note=markdown))

    def rename_run(self, key: str | None, name: str) -> None:
        """Give a run another name, or the parent run when ``key`` is None."""
        short = cut(name, LONGEST_NAME)
        self._writer.put(Job(key, lambda: self._client.update_run(self._run_id(key), name=short), ordered=False))

    def show_table(self, table: RunsTable) -> None:
        """Have the UI show the search's trials as ``table`` at :attr:`link`."""
        where = self._store.experiment_id
        self._writer.put(Job(None, lambda: self._client.set_experiment_tag(where, table.tag, table.state())))

    def fetch(self, key: str, paths: Collection[str], folder: Path) -> None:
        """Download artifacts of a run into ``folder``; what is not there is left out. For the background thread: what
        was written before is there.

        Raises:
            TrackingError: one cannot be downloaded.
        """
        if key in self._runs:
            download(self._store, self._runs[key], paths, folder)

    def series(self, key: str, name: str, most: int) -> dict[int, bytes]:
        """PNG files by step of a series of :meth:`log_picture`, at most so many; as for :meth:`fetch`."""
        return download_series(self._store, self._runs[key], name, most) if key in self._runs else {}

    def has_run(self, key: str | None) -> bool:
        """Whether a run is made already, or the parent run when ``key`` is None; for the background thread."""
        return key is None or key in self._runs

    def run_page(self, key: str | None = None) -> RunPage:
        """The page of a run, or of the parent run when ``key`` is None; that of another run is known only in the
        background thread."""
        return RunPage(self._store.experiment_id, self._run_id(key))

    @property
    def name(self) -> str:
        """The search's."""
        return self._store.name

    @property
    def table_page(self) -> str:
        """The page of the search's trials, relative to the server."""
        return table_page(self._store.experiment_id, self._search_id)

    @property
    def link(self) -> str:
        """Where a browser finds the search's trials: on the server, or where `eig-tune ui` serves a store without
        one."""
        return f"{server_of(self._store.uri)}/{self.table_page}"

    def end_run(self, key: str, status: str, tags: Mapping[str, str], at: float, name: str | None = None) -> None:
        """End a run, under another name where one is given; ``status`` is MLflow's FINISHED, KILLED or FAILED."""
        end, short = milliseconds(at), None if name is None else cut(name, LONGEST_NAME)
        self._writer.put(
            Job(key, lambda: self._client.end_run(self._runs[key], status, end, short), ordered=False),
            Batch(key, tags={**tags, ENDED_TAG: status}),
        )

    def reopen_run(self, key: str) -> None:
        """A run that had ended goes on; no effect on any other."""
        if key not in self.ended:
            return
        self.ended.discard(key)
        self._writer.put(
            Job(key, lambda: self._client.delete_tag(self._runs[key], ENDED_TAG)),
            Job(key, lambda: self._client.update_run(self._runs[key], status="RUNNING")),
        )

    def once_ended(self, key: str, do: Callable[[], None]) -> None:
        """Call ``do`` when MLflow has everything of an ended run; not at all if something could not be written."""
        self._writer.put(Job(key, lambda: do() if key in self.ended else None))

    def log_artifacts(self, key: str | None, prepare: Callable[[Path], object], folder: str = "") -> None:
        """Log the files that ``prepare`` writes into a directory; for the parent run when ``key`` is None.

        ``prepare`` is called in the background thread.
        """

        def write() -> None:
            with tempfile.TemporaryDirectory() as directory:
                prepare(Path(directory))
                upload(self._client, self._run_id(key), Path(directory), folder)

        self._writer.put(Job(key, write, ordered=False))

    def __enter__(self) -> "SearchTracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is waiting also when the search cannot go on."""
        if isinstance(error, EigTuneError):
            self.close("KILLED", {})

    def close(self, status: str, tags: Mapping[str, str], patience: Callable[[], float] | None = None) -> None:
        """Write everything that is waiting, then end the parent run with MLflow's ``status`` and ``tags``.

        ``patience`` is that of :meth:`Writer.close`.
        """
        self._writer.put(
            Batch(None, tags=dict(tags)),
            Job(None, self._delete_duplicates),
            Job(None, lambda: self._client.set_terminated(self.parent_id, status=status), last=True),
        )
        self._writer.close(patience)

    def join(self, timeout: float) -> None:
        """Wait for the background thread's end, for ``timeout`` seconds at most."""
        self._writer.join(timeout)

    def _create_parent(self, kind: str, tags: Mapping[str, str]) -> Any:
        own = {KIND_TAG: kind, SEARCH_TAG: self._search_id, USER_TAG: user_name()}
        where, name = self._store.experiment_id, self._store.name
        return make_once(
            lambda: self._client.create_run(where, run_name=name, tags={**own, **tags}),
            lambda: [run for run in self._store.runs_of(self._search_id) if KEY_TAG not in run.data.tags],
            lambda duplicate: delete_run(self._client, duplicate.info.run_id),
        )

    def _delete_duplicates(self) -> None:
        """A request that the client has repeated may be answered twice by a server, the second time long after the
        first. A database has no such client before it, and reading ten thousand runs takes minutes."""
        if not is_server(self._store.uri):
            return
        in_use = {self.parent_id, *self._runs.values()}
        delete_duplicate_runs(self._client, self._store.runs_of(self._search_id), in_use)

    def _adopt(self, runs: Iterable[Any]) -> None:
        """Put trials below the parent run; their former one may have been deleted for good."""
        for run in runs:
            if run.data.tags[KIND_TAG] == "trial" and run.data.tags.get(PARENT_TAG) != self.parent_id:
                self._client.set_tag(run.info.run_id, PARENT_TAG, self.parent_id)

    def _create_run(self, key: str, name: str, at: float, kind: str, below: str | None) -> None:
        if key in self._runs:
            return
        tags = {KIND_TAG: kind, KEY_TAG: key, PARENT_TAG: self._run_id(below), SEARCH_TAG: self._search_id}
        where, start = self._store.experiment_id, milliseconds(at)
        run = make_once(
            lambda: self._client.create_run(where, start, tags, cut(name, LONGEST_NAME)),
            lambda: self._store.runs_of(self._search_id, key),
            lambda duplicate: delete_run(self._client, duplicate.info.run_id),
            repeated=self._writer.retrying,
        )
        self._runs[key] = str(run.info.run_id)

    def _run_id(self, key: str | None) -> str:
        return self.parent_id if key is None else self._runs[key]

    def _send(self, batch: Batch) -> None:
        from mlflow.entities import Metric, Param, RunTag

        params = [Param(name, cut(str(value), LONGEST_PARAM)) for name, value in batch.params.items()]
        metrics = [Metric(*metric) for metric in batch.metrics]
        has_ended = ENDED_TAG in batch.tags and batch.key not in self._writer.incomplete
        described = {} if batch.note is None else {DESCRIPTION_TAG: batch.note()}
        tags = [
            RunTag(name, cut(value, LONGEST_TAG))
            for name, value in {**batch.tags, **described}.items()
            if name != ENDED_TAG or has_ended
        ]
        while params or metrics or tags:
            self._client.log_batch(
                self._run_id(batch.key), metrics[:MOST_METRICS], params[:MOST_PARAMS], tags[:MOST_TAGS]
            )
            del params[:MOST_PARAMS], metrics[:MOST_METRICS], tags[:MOST_TAGS]
        if has_ended and batch.key is not None:
            self.ended.add(batch.key)
