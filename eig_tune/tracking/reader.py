"""Reading a search back from MLflow alone, on any machine."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eig_tune.errors import ResultError, TrackingError
from eig_tune.hpo.selection import COMPLETE, CONFIRMED, CONFIRMED_DEVIATION
from eig_tune.tracking.found import SearchRun, find_store, search_run
from eig_tune.tracking.store import ENDED_TAG, KEY_TAG, OBJECTIVES_TAG, Store, first_line, readable_errors

CONFIRMATION_TAG = "confirmation"
_Value = bool | int | float | str


@dataclass(frozen=True)
class TrackedTrial:
    """One trial as MLflow knows it.

    Attributes:
        metrics: the latest values.
        confirmation: how far its confirmation has come: ``complete``, or in words; empty where there was none.
        whole: MLflow has had everything of it.
    """

    number: int
    run_id: str
    status: str
    reason: str
    params: Mapping[str, _Value]
    metrics: Mapping[str, float]
    confirmation: str = ""
    whole: bool = True

    @property
    def found(self) -> dict[str, float]:
        """What it had reached itself, at its last step."""
        return {
            name: value for name, value in self.metrics.items() if not name.startswith((CONFIRMED, CONFIRMED_DEVIATION))
        }

    @property
    def confirmed(self) -> dict[str, float]:
        """Means over the fresh seeds of its confirmation; empty unless that is complete."""
        return below(self.metrics, CONFIRMED) if self.confirmation == COMPLETE else {}

    @property
    def confirmed_deviations(self) -> dict[str, float]:
        """Standard deviations over the same seeds."""
        return below(self.metrics, CONFIRMED_DEVIATION) if self.confirmation == COMPLETE else {}


def below(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The metrics whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class TrackedSearch:
    """One search as MLflow knows it.

    Attributes:
        name: its experiment's.
        store: where it was found.
        others: all other searches in its experiment, the newest first.
        provenance: versions, git commit and fingerprint of the data.
    """

    name: str
    objectives: Mapping[str, str]
    trials: tuple[TrackedTrial, ...]
    store: Store
    run: SearchRun
    others: tuple[SearchRun, ...]
    provenance: Mapping[str, str]

    def finished(self) -> list[TrackedTrial]:
        """Trials that were trained to the full budget."""
        return [trial for trial in self._trained() if self.objectives.keys() <= trial.metrics.keys()]

    def lacking(self) -> list[TrackedTrial]:
        """Trials that were trained to the full budget, but of which MLflow has not all objectives."""
        return [trial for trial in self._trained() if not self.objectives.keys() <= trial.metrics.keys()]

    def _trained(self) -> list[TrackedTrial]:
        return [trial for trial in self.trials if trial.status == "finished"]


def read_search(uri: str, wanted: str | None, own: Sequence[str] = ()) -> TrackedSearch:
    """A search as ``find_store`` finds it.

    Raises:
        TrackingError: the store cannot be reached.
        ResultError: there is no such search.
    """
    store, parent = find_store(uri, wanted, own)
    with readable_errors(uri):
        runs, searches = store.trial_runs(parent.info.run_id), store.searches()
    trials = [
        TrackedTrial(
            number=int(run.data.tags[KEY_TAG]),
            run_id=run.info.run_id,
            status=run.data.tags.get("status", "running"),
            reason=run.data.tags.get("stop_reason", ""),
            params={name: _parsed(text) for name, text in run.data.params.items()},
            metrics=dict(run.data.metrics),
            confirmation=run.data.tags.get(CONFIRMATION_TAG, ""),
            whole=ENDED_TAG in run.data.tags,
        )
        for run in runs
    ]
    return TrackedSearch(
        store.name,
        _objectives(parent),
        tuple(sorted(trials, key=lambda trial: trial.number)),
        store,
        search_run(parent),
        tuple(search_run(run) for run in searches if run.info.run_id != parent.info.run_id),
        _provenance(parent),
    )


def _objectives(parent: Any) -> dict[str, str]:
    try:
        return {str(name): str(direction) for name, direction in json.loads(parent.data.tags[OBJECTIVES_TAG]).items()}
    except (KeyError, ValueError, AttributeError) as error:
        told = f"run {parent.info.run_id}: its tag {OBJECTIVES_TAG} does not say what the search was for"
        raise ResultError(told) from error


def _provenance(parent: Any) -> dict[str, str]:
    kept = {name: value for name, value in parent.data.tags.items() if name.startswith("version.")}
    return {
        "git_commit": parent.data.tags.get("git_commit", "unknown"),
        "data_sha256": parent.data.params.get("data_sha256", "unknown"),
        **kept,
    }


def download(store: Store, run_id: str, wanted: Collection[str], destination: Path) -> None:
    """Fetch those files and folders among a run's artifacts that are ``wanted``; what is not there is left out.

    Raises:
        TrackingError: one cannot be fetched.
    """
    from mlflow.exceptions import MlflowException

    try:
        for artifact in store.client.list_artifacts(run_id):
            if artifact.path in wanted:
                store.client.download_artifacts(run_id, artifact.path, str(destination))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"run {run_id}: its artifacts cannot be fetched ({first_line(error, store.uri)})"
        ) from error


def has_artifact(store: Store, run_id: str, path: str) -> bool:
    """Whether a run has a file or folder of that name among its artifacts.

    Raises:
        TrackingError: the store cannot be reached.
    """
    with readable_errors(store.uri):
        return any(artifact.path == path for artifact in store.client.list_artifacts(run_id))


def _parsed(text: str) -> _Value:
    """A parameter, which MLflow keeps as Python prints it, as the value it was."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
