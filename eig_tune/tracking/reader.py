"""Reading a search back from MLflow alone, on any machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eig_tune.errors import ResultError, TrackingError
from eig_tune.tracking.store import OBJECTIVES_TAG, TRIAL_TAG, Store


@dataclass(frozen=True)
class TrackedTrial:
    """One trial as MLflow knows it; ``metrics`` are the latest values."""

    number: int
    run_id: str
    status: str
    reason: str
    values: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrackedSearch:
    """One search as MLflow knows it."""

    name: str
    objectives: Mapping[str, str]
    trials: tuple[TrackedTrial, ...]

    def finished(self) -> list[TrackedTrial]:
        """Trials that were trained to the full budget."""
        return [trial for trial in self.trials if trial.status == "finished"]


def read_search(store: Store) -> TrackedSearch:
    """The newest search of the store's experiment.

    Raises:
        ResultError: the experiment holds no search.
    """
    parent = store.parent_run()
    if parent is None:
        raise ResultError(f"the MLflow experiment {store.name!r} holds no search of eig-tune")
    trials = [
        TrackedTrial(
            number=int(run.data.tags[TRIAL_TAG]),
            run_id=run.info.run_id,
            status=run.data.tags.get("status", "running"),
            reason=run.data.tags.get("stop_reason", ""),
            values=dict(run.data.params),
            metrics=dict(run.data.metrics),
        )
        for run in store.trial_runs(parent.info.run_id)
    ]
    return TrackedSearch(
        store.name,
        json.loads(parent.data.tags[OBJECTIVES_TAG]),
        tuple(sorted(trials, key=lambda trial: trial.number)),
    )


def download(store: Store, run_id: str, folder: str, destination: Path) -> Path:
    """Fetch an artifact folder of a run.

    Raises:
        TrackingError: it is not there or cannot be fetched.
    """
    from mlflow.exceptions import MlflowException

    try:
        return Path(store.client.download_artifacts(run_id, folder, str(destination)))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"run {run_id}: its artifact {folder!r} cannot be fetched ({error})") from error
