"""Ray nodes as an operator starts them, each with `ray start` in processes of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mlflow_server import free_port

RAY = Path(sys.executable).with_name("ray")
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


class RayNode:
    """A head, or a worker of the cluster at ``address``; SIGKILL ends it.

    Args:
        log: what `ray start` prints.
        options: further ones of `ray start`.
        within: a command that runs the node in a place of its own, such as `unshare`.
    """

    def __init__(
        self,
        log: Path,
        options: Sequence[str],
        environment: Mapping[str, str],
        address: str | None = None,
        within: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        role = (
            ["--head", f"--port={self.port}", f"--ray-client-server-port={free_port()}", "--include-dashboard=false"]
            if address is None
            else [f"--address={address}"]
        )
        with log.open("w") as opened:
            self._process = subprocess.Popen(
                [*within, str(RAY), "start", "--log-color=false", *role, *options, "--block"],
                stdout=opened,
                stderr=opened,
                start_new_session=True,
                env={**os.environ, **QUIET, **environment},
            )
        end = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text():
            if self._process.poll() is not None or time.monotonic() > end:
                with suppress(ProcessLookupError):  # it may have ended by itself
                    self.kill()
                raise AssertionError(log.read_text()[-3000:])
            time.sleep(0.2)
        self.address = next(line for line in log.read_text().splitlines() if "Local node IP" in line).split()[-1]
        self.address += f":{self.port}"

    def kill(self) -> None:
        """The node's processes are one process group."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
