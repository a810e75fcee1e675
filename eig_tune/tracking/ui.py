"""The MLflow UI as a process of its own, and the page in it that shows the trials of a search."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from eig_tune.errors import EigTuneError, ResultError
from eig_tune.stopping import Interrupted
from eig_tune.tracking.address import file_of, is_local, missing_file
from eig_tune.tracking.client import NO_TELEMETRY, readable_errors
from eig_tune.tracking.find_search import ANY_KIND, find_run
from eig_tune.tracking.moved_home import update_artifact_paths
from eig_tune.tracking.pages import table_of, table_page

_HOST = "127.0.0.1"


def check_exists(uri: str) -> None:
    """Check that there is something to show.

    Raises:
        ResultError: a local store does not exist yet.
    """
    if (missing := missing_file(uri)) is not None:
        raise ResultError(f"there is nothing to show yet: {missing} does not exist")


def check_port(port: int) -> None:
    """Check that no other program listens to a port of this machine.

    Raises:
        EigTuneError: one does, or the user may not use that port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: an ended one leaves no trace
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            what = f"port {port} of this machine cannot be used ({error.strerror})"
            raise EigTuneError(f"--port: {what}; give another one, such as --port {_another(port)}") from None


def _another(port: int) -> int:
    return port + 1 if port < 65535 else port - 1


def trials_page(uri: str, name: str | None, own: Sequence[str]) -> str:
    """The page that shows the trials of a search, comparison or suggestion as a table, relative to the server; empty
    where no name is given and there is no search.

    The store is given the table where it lacks it, as it does for a search of an earlier version.

    Args:
        uri: the store's address.
        name: of the search, or the id of its run; None is the newest of all.
        own: ids of the home's searches of that name, which are taken before any other.

    Raises:
        ResultError: there is no such search.
        TrackingError: the store cannot be reached.
    """
    try:
        store, parent = find_run(uri, name, own, ANY_KIND)
    except ResultError:
        if name is not None:
            raise
        return ""
    table = table_of(parent)
    with readable_errors(uri):
        if table.tag not in store.client.get_experiment(store.experiment_id).tags:
            store.client.set_experiment_tag(store.experiment_id, table.tag, table.state())
    return table_page(store.experiment_id, table.search_id)


def serve_ui(uri: str, home: Path, port: int) -> int:
    """Serve the UI on loopback until it is interrupted.

    Returns:
        The exit code.

    Raises:
        ResultError: a local store does not exist yet.
    """
    check_exists(uri)
    if is_local(uri):
        update_artifact_paths(file_of(uri))
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--artifacts-destination", (home / "artifacts").resolve().as_uri()]
    command += ["--host", _HOST, "--port", str(port)]
    # Every user of the machine can read a command line, and the store's address may contain a password.
    environment = {**os.environ, **NO_TELEMETRY, "MLFLOW_BACKEND_STORE_URI": uri}
    with subprocess.Popen(command, env=environment) as server:
        try:
            return server.wait()
        except Interrupted as interrupted:  # else the server would outlive this process
            server.terminate()
            server.wait()
            return 0 if interrupted.number == signal.SIGINT else interrupted.exit_code
