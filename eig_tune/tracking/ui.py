"""The MLflow UI as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from eig_tune.errors import ResultError


def serve_ui(uri: str, home: Path, port: int) -> int:
    """Serve the UI on loopback until it is interrupted; its exit code.

    Raises:
        ResultError: a local store does not exist yet.
    """
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file():
        raise ResultError(f"there is nothing to show yet: {uri.removeprefix('sqlite:///')} does not exist")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--workers", "1"]
    command += ["--artifacts-destination", (home / "artifacts").resolve().as_uri()]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with subprocess.Popen(command, env=environment) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            server.wait()
            return 0
