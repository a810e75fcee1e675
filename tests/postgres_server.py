"""A real PostgreSQL server of a test's own."""

import os
import subprocess
import tempfile
from pathlib import Path

from mlflow_server import free_port

BINARIES = Path("/usr/lib/postgresql/15/bin")  # Debian's package postgresql
_USER = "postgres" if os.getuid() == 0 else None  # it refuses to run as root


class PostgresServer:
    """One empty database ``mlflow``, in a folder that goes with :meth:`stop`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="eig-postgres-", ignore_cleanup_errors=True)
        Path(self._folder.name).chmod(0o777)
        self._data, self.port = f"{self._folder.name}/data", free_port()
        self._run("initdb", "--username", "me", "--auth", "trust", self._data)
        options = f"-p {self.port} -k {self._folder.name} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "--wait", "-D", self._data, "-l", f"{self._folder.name}/log", "-o", options, "start")
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "me", "mlflow")
        self.place = f"me@127.0.0.1:{self.port}/mlflow"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
        self._folder.cleanup()

    def _run(self, program: str, *arguments: str) -> None:
        command: list[str | Path] = [BINARIES / program, *arguments]
        nowhere = subprocess.DEVNULL
        subprocess.run(command, check=True, stdout=nowhere, stderr=nowhere, user=_USER, cwd="/")
