"""MLflow's client: opened, its errors as one line each, its answers page by page."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eig_tune.errors import TrackingError
from eig_tune.tracking.address import LOGIN, file_of, is_database, is_local, masked, missing_file, without_secrets
from eig_tune.tracking.databases import connected, make_sqlite
from eig_tune.tracking.moved_home import update_artifact_paths

PAGE = 1000  # the most that MLflow gives at once; by default it gives 100 or 1,000
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


def open_client(uri: str, make_in: Path | None = None) -> Any:
    """A client of the store at ``uri`` that soon gives up on a dead server and prints nothing.

    Args:
        uri: the store's address.
        make_in: where artifacts lie if the store is a file that is still to be made; without it none is made.
    """
    for variable, value in _PATIENCE.items():
        os.environ.setdefault(variable, value)
    from eig_tune.tracking.own_client import Client

    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # A database's error is raised as an exception; its traceback need not be logged as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if is_database(uri):
        with connected(uri):
            return Client(tracking_uri=uri)
    if (missing := missing_file(uri)) is None:
        if is_local(uri):
            update_artifact_paths(file_of(uri))
    elif make_in is not None:
        make_sqlite(missing, make_in)
    return Client(tracking_uri=uri)


def check_store(uri: str) -> None:
    """Check that the store answers and accepts the login; nothing is made where there is none yet.

    Raises:
        TrackingError: it does not.
    """
    if missing_file(uri) is None:
        with readable_errors(uri):
            open_client(uri).search_experiments(max_results=1)


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
        why = _refused_login(error) or f"cannot be used: {first_line(error, uri)}"
        # Not `from error`: the messages of MLflow and its drivers may quote the password.
        raise TrackingError(f"the MLflow store {masked(uri)} {why}") from None


def first_line(error: Exception, uri: str) -> str:
    """The first line of an error's message, without a password; MLflow and its servers append paragraphs to it."""
    lines = str(error).strip().splitlines()
    return without_secrets(lines[0], uri) if lines else type(error).__name__


def _refused_login(error: Exception) -> str | None:
    """What to do about a server that requires another login; None for any other error."""
    code = getattr(error, "error_code", None)
    if code in ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
        return f"refuses the login (401): set {LOGIN}"
    if code == "PERMISSION_DENIED":
        user = os.environ.get("MLFLOW_TRACKING_USERNAME", "nobody")
        return f"does not let {user} do this (403): ask for the permission, or set {LOGIN} to another login"
    return None


def pages(look_up: Callable[[str | None], Any]) -> Iterator[Any]:
    """Every page of what ``look_up`` finds, given the token of a page; None is the first page's."""
    token = None
    while True:
        page = look_up(token)
        yield page
        if not (token := page.token):
            return


def all_results(look_up: Callable[[str | None], Any]) -> Iterator[Any]:
    """Everything on all pages."""
    return (result for page in pages(look_up) for result in page)


def experiments(client: Any, *, deleted: bool = False) -> Iterator[Any]:
    """Pages of all experiments, the newest first; with ``deleted`` also those in MLflow's trash."""
    from mlflow.entities import ViewType

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    return pages(lambda token: client.search_experiments(view_type=view, max_results=PAGE, page_token=token))
