"""Opening an MLflow store and finding the runs of a search in it."""

import getpass
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eig_tune.errors import ResultError, TrackingError
from eig_tune.tracking.address import LOGIN, masked, without_secrets
from eig_tune.tracking.databases import connected, file_of, is_database, is_local, make_sqlite, missing_file
from eig_tune.tracking.moved import follow
from eig_tune.tracking.own_runs import DELETED, bring_back, carrying, experiment_of
from eig_tune.tracking.paging import PAGE, everything

KIND_TAG = "eig_tune.kind"
KEY_TAG = "eig_tune.trial"  # a trial's number; a confirmation's with its seed behind a dot
ENDED_TAG = "eig_tune.ended"  # set last of all: a run that has it lacks nothing
OBJECTIVES_TAG = "eig_tune.objectives"
PARENT_TAG = "mlflow.parentRunId"
USER_TAG = "mlflow.user"
NOTE_TAG = "mlflow.note.content"

NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

# A dead server should be noticed within seconds, not after MLflow's default minutes of retries.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is for results
    **NO_TELEMETRY,
}


@dataclass(frozen=True)
class Store:
    """An open MLflow store and the experiment of one search in it; ``uri`` may have a password in it.

    Attributes:
        name: the search's; its experiment may have been renamed.
        told: what a person should know of how it was opened.
    """

    client: Any
    uri: str
    experiment_id: str
    name: str
    told: tuple[str, ...] = ()

    def searches(self) -> list[Any]:
        """The parent runs of all searches in the experiment, the newest first."""
        return list(self._search(f"tags.`{KIND_TAG}` = 'search'"))

    def trial_runs(self, parent_id: str) -> list[Any]:
        """Every run of a trial below the parent run ``parent_id``, in no certain order."""
        return list(self._search(f"tags.`{PARENT_TAG}` = '{parent_id}' and tags.`{KIND_TAG}` = 'trial'"))

    def runs_of(self, search_id: str, key: str | None = None) -> list[Any]:
        """Every run that carries the id of a search: its parent run, children and grandchildren; or those of one key,
        which the parent run does not have."""
        condition = "" if key is None else f" and tags.`{KEY_TAG}` = '{key}'"
        return list(self._search(carrying(search_id) + condition))

    def answers(self) -> bool:
        """Whether the store is there at all."""
        try:
            self.client.get_experiment(self.experiment_id)
        except Exception:
            return False
        return True

    def _search(self, condition: str) -> Iterator[Any]:
        def look_up(token: str | None) -> Any:
            return self.client.search_runs([self.experiment_id], condition, max_results=PAGE, page_token=token)

        return everything(look_up)


def user_name() -> str:
    """Who works here: the login of the MLflow server if there is one, else the user of this machine."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"uid {os.getuid()}"


def open_store(uri: str, name: str, home: Path, resumed: str | None = None) -> Store:
    """Open the store at ``uri`` and the experiment ``name``, making either when it does not exist.

    Args:
        home: where artifacts lie if the store is a database; an MLflow server has a place of its own for them, and
            those of a sqlite file lie beside it, so that no home takes away what another one reads there.
        resumed: the id of a search that may have runs there already: their experiment is opened, whatever it is called
            now, and what was deleted of them is restored.

    Raises:
        TrackingError: the store cannot be reached or written.
        ResultError: the experiment was deleted.
    """
    artifacts = (file_of(uri).parent if is_local(uri) else home).resolve() / "artifacts"
    with readable_errors(uri):
        client = open_client(uri, make_in=artifacts)
        if resumed is not None and (own := experiment_of(client, resumed, name)) is not None:
            return Store(client, uri, own.experiment_id, name, bring_back(client, own, resumed, name))
        if (experiment := client.get_experiment_by_name(name)) is not None:
            _refuse_deleted(experiment)
            return Store(client, uri, experiment.experiment_id, name)
        location = (artifacts / name).as_uri() if is_local(uri) or is_database(uri) else None
        return Store(client, uri, _new_experiment(client, name, location), name)


def _refuse_deleted(experiment: Any) -> None:
    if experiment.lifecycle_stage == DELETED:
        raise ResultError(
            f"--name: the MLflow experiment {experiment.name!r} was deleted; give another name, bring it back "
            f"(mlflow experiments restore --experiment-id {experiment.experiment_id}), or remove it for good "
            f"(mlflow gc --experiment-ids {experiment.experiment_id})"
        )


def _new_experiment(client: Any, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        # A slow server is asked again by MLflow's client, and then has it already from the first time.
        if (made := client.get_experiment_by_name(name)) is None:
            raise
        return str(made.experiment_id)


def check_store(uri: str) -> None:
    """See that the store answers, and takes the login; nothing is made where there is none yet.

    Raises:
        TrackingError: it does not.
    """
    if missing_file(uri) is None:
        with readable_errors(uri):
            open_client(uri).search_experiments(max_results=1)


def open_client(uri: str, make_in: Path | None = None) -> Any:
    """A client of the store at ``uri`` that soon gives up on a dead server and does not talk.

    Args:
        make_in: where artifacts lie if the store is a file that is still to be made; without it none is made.
    """
    for variable, value in _PATIENCE.items():
        os.environ.setdefault(variable, value)
    from mlflow.tracking import MlflowClient

    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # What a database says comes to us as an exception; it need not be in the log with its traceback, too.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if is_database(uri):
        with connected(uri):
            return MlflowClient(tracking_uri=uri)
    if (missing := missing_file(uri)) is None:
        if is_local(uri):
            follow(file_of(uri))
    elif make_in is not None:
        make_sqlite(missing, make_in)
    return MlflowClient(tracking_uri=uri)


@contextmanager
def readable_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one line.

    Raises:
        TrackingError: MLflow has refused, or the store cannot be reached.
    """
    try:
        yield
    except Exception as error:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        if not isinstance(error, MlflowException | SQLAlchemyError | OSError | ImportError):
            raise
        told = _refused_login(error) or f"cannot be used: {first_line(error, uri)}"
        # Not `from error`: what MLflow and its drivers say may quote the password.
        raise TrackingError(f"the MLflow store {masked(uri)} {told}") from None


def first_line(error: Exception, uri: str) -> str:
    """What an error says, without the paragraphs that MLflow and its servers append, and without a password."""
    said = str(error).strip().splitlines()
    return without_secrets(said[0], uri) if said else type(error).__name__


def _refused_login(error: Exception) -> str | None:
    """What to do about a server that wants another login, or None if that is not it."""
    code = getattr(error, "error_code", None)
    if code in ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
        return f"does not take the login (401): set {LOGIN}"
    if code == "PERMISSION_DENIED":
        user = os.environ.get("MLFLOW_TRACKING_USERNAME", "nobody")
        return f"does not let {user} do this (403): ask for the permission, or set {LOGIN} to another login"
    return None
