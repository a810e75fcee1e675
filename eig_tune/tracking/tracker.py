"""Writing a search into MLflow from a background thread, so that no trial ever waits for it.

One parent run per search, one child run per trial. Runs are found again by their tags, and MLflow keeps one
copy of a metric that comes twice with the same step and time, so writing again after a resume is harmless.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eig_tune.tracking.store import ENDED_TAG, KIND_TAG, PARENT_TAG, TRIAL_TAG, Store

_LARGEST_BATCH = 1000
_END = object()


class SearchTracker:
    """The MLflow runs of one search.

    Args:
        store: an open store.
        kind: ``search`` or ``comparison``, by which the parent is found again.
        params: what to log as the parent's parameters.
        tags: further tags of the parent run.

    Attributes:
        ended: trials of an earlier process of which MLflow has everything, pictures included.
    """

    def __init__(self, store: Store, kind: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        self._store = store
        self._client = store.client
        parent = store.parent_run(kind)
        self.parent_id: str = self._create_parent(kind, params, tags) if parent is None else parent.info.run_id
        self._client.update_run(self.parent_id, status="RUNNING")
        runs = {int(run.data.tags[TRIAL_TAG]): run for run in store.trial_runs(self.parent_id)}
        self._runs = {number: str(run.info.run_id) for number, run in runs.items()}
        self.ended = {number for number, run in runs.items() if ENDED_TAG in run.data.tags}
        self._queue: queue.Queue[Any] = queue.Queue()
        self.errors: list[str] = []
        self._thread = threading.Thread(target=self._write, name="mlflow-writer", daemon=True)
        self._thread.start()

    def start_trial(self, number: int, name: str, params: Mapping[str, Any], at: float) -> None:
        """A child run for trial ``number``; ``at`` is seconds since the epoch."""
        self._queue.put(lambda: self._create_trial(number, name, params, at))

    def log_metrics(self, number: int, step: int, metrics: Mapping[str, float], at: float) -> None:
        """Metrics of a trial at ``step``."""
        self._queue.put(lambda: self._log_metrics(self._runs[number], step, metrics, at))

    def end_trial(self, number: int, status: str, tags: Mapping[str, str], at: float) -> None:
        """The trial is over; ``status`` is MLflow's FINISHED, KILLED or FAILED."""

        def write() -> None:
            self._client.set_terminated(self._runs[number], status=status, end_time=int(at * 1000))
            self._set_tags(self._runs[number], {**tags, ENDED_TAG: status})

        self._queue.put(write)

    def log_artifacts(self, number: int | None, prepare: Callable[[Path], None], folder: str = "") -> None:
        """Log what ``prepare`` writes into a directory; for the parent run when ``number`` is None.

        ``prepare`` is called in the background thread.
        """

        def write() -> None:
            import tempfile

            with tempfile.TemporaryDirectory() as directory:
                prepare(Path(directory))
                run_id = self.parent_id if number is None else self._runs[number]
                self._client.log_artifacts(run_id, directory, folder or None)

        self._queue.put(write)

    def close(self, status: str, tags: Mapping[str, str]) -> None:
        """Write everything that is waiting, then end the parent run."""

        def write() -> None:
            self._set_tags(self.parent_id, tags)
            self._client.set_terminated(self.parent_id, status=status)

        self._queue.put(write)
        self._queue.put(_END)
        self._thread.join()

    def _write(self) -> None:
        while (job := self._queue.get()) is not _END:
            try:
                job()
            except Exception as error:
                # A picture or a metric less must not end a search; what went wrong is told at its end.
                self.errors.append(str(error).strip().splitlines()[0] if str(error) else type(error).__name__)

    def _create_parent(self, kind: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        run = self._client.create_run(
            self._store.experiment_id, run_name=self._store.name, tags={KIND_TAG: kind, **tags}
        )
        self._log_params(run.info.run_id, params)
        return str(run.info.run_id)

    def _create_trial(self, number: int, name: str, params: Mapping[str, Any], at: float) -> None:
        if number in self._runs:
            return
        tags = {KIND_TAG: "trial", TRIAL_TAG: str(number), PARENT_TAG: self.parent_id}
        run = self._client.create_run(self._store.experiment_id, start_time=int(at * 1000), run_name=name, tags=tags)
        self._runs[number] = run.info.run_id
        self._log_params(run.info.run_id, params)

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        entities = [Param(name, str(value)) for name, value in params.items()]
        for start in range(0, len(entities), 100):
            self._client.log_batch(run_id, params=entities[start : start + 100])

    def _log_metrics(self, run_id: str, step: int, metrics: Mapping[str, float], at: float) -> None:
        from mlflow.entities import Metric

        entities = [Metric(name, value, int(at * 1000), step) for name, value in metrics.items()]
        for start in range(0, len(entities), _LARGEST_BATCH):
            self._client.log_batch(run_id, metrics=entities[start : start + _LARGEST_BATCH])

    def _set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
