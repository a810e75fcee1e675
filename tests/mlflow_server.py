"""MLflow's servers as processes of their own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path


def free_port() -> int:
    """A port of this machine that nobody listens to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(address: str) -> bool:
    """Whether something answers there, and does not complain."""
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False


class Server:
    """One of MLflow's servers, started on a free port; it can be killed and started again."""

    def __init__(self, arguments: list[str], log: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        self.uri = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "mlflow", *arguments, "--port", str(port)]
        self._log = log
        self._environment = {**os.environ, **environment}
        self.start()

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True, env=self._environment
            )
        end = time.monotonic() + 120
        while not answers(f"{self.uri}/health"):
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(self._log.read_text()[-2000:])
            time.sleep(0.2)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class MlflowServer(Server):
    """A tracking server with all it needs in one folder, unless it is said where metrics and artifacts go.

    Args:
        password: of its only user, ``USER``; without one it lets everybody in.
    """

    USER = "operator"

    def __init__(
        self,
        folder: Path,
        backend: str | None = None,
        artifacts: str | None = None,
        environment: Mapping[str, str] | None = None,
        password: str | None = None,
    ) -> None:
        arguments = ["server", "--workers", "1", "--backend-store-uri", backend or f"sqlite:///{folder}/server.db"]
        arguments += ["--artifacts-destination", artifacts or (folder / "served").as_uri()]
        login: Mapping[str, str] = {}
        if password is not None:
            arguments += ["--app-name", "basic-auth"]
            login = self._login(folder, password)
        super().__init__(arguments, folder / "server.log", {**login, **(environment or {})})

    def _login(self, folder: Path, password: str) -> Mapping[str, str]:
        settings = folder / "users.ini"
        lines = ["[mlflow]", "default_permission = NO_PERMISSIONS", f"database_uri = sqlite:///{folder}/users.db"]
        settings.write_text("\n".join([*lines, f"admin_username = {self.USER}", ""]))
        return {
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the tests",
        }


class ModelServer(Server):
    """`mlflow models serve` for one registered model of a store."""

    def __init__(self, model: str, store: str, log: Path) -> None:
        arguments = ["models", "serve", "--model-uri", model, "--env-manager", "local"]
        # MLflow looks for uvicorn on the PATH, as it is in an environment that is activated.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        super().__init__(arguments, log, {"MLFLOW_TRACKING_URI": store, "PATH": path})
