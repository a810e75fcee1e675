"""The MLflow UI as a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from eig_tune.errors import ResultError
from eig_tune.stopping import Interrupted
from eig_tune.tracking.address import file_of, is_local, missing_file
from eig_tune.tracking.client import NO_TELEMETRY
from eig_tune.tracking.moved_home import update_artifact_paths


def serve_ui(uri: str, home: Path, port: int) -> int:
    """Serve the UI on loopback until it is interrupted.

    Returns:
        The exit code.

    Raises:
        ResultError: a local store does not exist yet.
    """
    if (missing := missing_file(uri)) is not None:
        raise ResultError(f"there is nothing to show yet: {missing} does not exist")
    if is_local(uri):
        update_artifact_paths(file_of(uri))
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--artifacts-destination", (home / "artifacts").resolve().as_uri()]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    # Every user of the machine can read a command line, and the store's address may contain a password.
    environment = {**os.environ, **NO_TELEMETRY, "MLFLOW_BACKEND_STORE_URI": uri}
    with subprocess.Popen(command, env=environment) as server:
        try:
            return server.wait()
        except Interrupted as interrupted:  # else the server would outlive this process
            server.terminate()
            server.wait()
            return 0 if interrupted.number == signal.SIGINT else interrupted.exit_code
