"""Opening an MLflow store and finding the runs of a search in it."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eig_tune.errors import ResultError, TrackingError

KIND_TAG = "eig_tune.kind"
TRIAL_TAG = "eig_tune.trial"
OBJECTIVES_TAG = "eig_tune.objectives"
PARENT_TAG = "mlflow.parentRunId"
_PAGE = 1000

# A dead server should be noticed within seconds, not after MLflow's default minutes of retries.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


@dataclass(frozen=True)
class Store:
    """An open MLflow store and the experiment of one search in it."""

    client: Any
    uri: str
    experiment_id: str
    name: str

    def parent_run(self) -> Any | None:
        """The newest parent run of the experiment, or None."""
        found = self._search(f"tags.`{KIND_TAG}` = 'search'", most=1)
        return next(found, None)

    def trial_runs(self, parent_id: str) -> list[Any]:
        """Every child run of the search, in no certain order."""
        return list(self._search(f"tags.`{PARENT_TAG}` = '{parent_id}' and tags.`{KIND_TAG}` = 'trial'"))

    def _search(self, condition: str, most: int | None = None) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], condition, max_results=most or _PAGE, page_token=token)
            yield from page
            token = page.token
            if most is not None or not token:
                return


def local_uri(home: Path) -> str:
    """The store of a home that names no other: one sqlite file."""
    return f"sqlite:///{(home / 'mlflow.db').resolve()}"


def open_store(uri: str, name: str, home: Path, *, create: bool) -> Store:
    """Open the store at ``uri`` and the experiment ``name``.

    Args:
        home: where artifacts of a local store lie.
        create: make store and experiment when they do not exist.

    Raises:
        TrackingError: the store cannot be reached or written.
        ResultError: there is no such experiment and ``create`` is false.
    """
    for variable, value in _PATIENCE.items():
        os.environ.setdefault(variable, value)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    for noisy in ("alembic", "mlflow", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    local = uri.startswith("sqlite:")
    if local and not create and not Path(uri.removeprefix("sqlite:///")).is_file():
        raise ResultError(f"there is no search here yet: {uri} does not exist")
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return Store(client, uri, experiment.experiment_id, name)
        if not create:
            raise ResultError(f"no search named {name!r} in {uri}; there are: {_names(client)}")
        location = (home / "artifacts" / name).resolve().as_uri() if local else None
        return Store(client, uri, client.create_experiment(name, artifact_location=location), name)
    except (MlflowException, OSError) as error:
        raise TrackingError(f"the MLflow store {uri} cannot be used: {_first_line(error)}") from error


def _names(client: Any) -> str:
    names = [e.name for e in client.search_experiments() if e.name != "Default"]
    return ", ".join(names) or "none"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
