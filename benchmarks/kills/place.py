"""What a search stands on: two small disks, an MLflow server, and a Ray cluster if it does not bring its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agreement import Left
from mlflow_server import MlflowServer
from searches import descendants, start, trial_processes, write_space

DISK = "64m"
REPORT_EVERY = 20
RUNGS = (20, 60)
OBJECTIVES = ("neighbour_nmi", "prior_share_gap")
_OBJECT_STORE_BYTES = 100 * 2**20


def may_mount(folder: Path) -> bool:
    """Whether this user may make a disk of limited size."""
    with contextlib.suppress(OSError), ExitStack() as stack:
        return _disk(folder / "probe", stack)
    return False


def _disk(folder: Path, stack: ExitStack) -> bool:
    """A disk of limited size at ``folder``, or just the folder when this user may make none."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    if mounted:
        stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
    return mounted


class Place:
    """Everything that one search needs, in one folder; it can be taken away piece by piece.

    Args:
        folder: made anew.
        slots: trials at once.
        seed: of the search.
        on_cluster: trials run on a node apart from the cluster's head, else on the Ray that the driver starts.
    """

    def __init__(self, folder: Path, slots: int, seed: int, *, on_cluster: bool) -> None:
        self._stack = ExitStack()
        self.slots, self._seed = slots, seed
        folder.mkdir(parents=True)
        self._folder = folder
        self.home, self._disk = folder / "home", folder / "disk"
        for disk in (self.home, self._disk):
            _disk(disk, self._stack)
        self.log = self.home.with_suffix(".log")
        self._space = write_space(folder, confirmed=1)
        self._server = MlflowServer(folder)
        self._stack.callback(self._server.kill)
        self._restart: threading.Thread | None = None
        self._cluster = self._stack.enter_context(_cluster()) if on_cluster else None
        self._node: Any = None
        self.add_node()

    @property
    def left(self) -> Left:
        """Where the search leaves what it comes to."""
        return Left(self.home, self._server.uri, self._disk / "checkpoints")

    @property
    def disks(self) -> dict[str, Path]:
        """What can be full."""
        return {"the home's disk": self.home, "the checkpoints' disk": self._disk}

    def events(self) -> int:
        """Lines of the search's event log and its confirmations'."""
        return sum(file.read_bytes().count(b"\n") for file in self.left.event_logs())

    def reports(self) -> int:
        """How often a trial or a confirmation has reported."""
        return sum(file.read_bytes().count(b'"event": "report"') for file in self.left.event_logs())

    def progress(self) -> str:
        """How far the search is."""
        lines = [json.loads(line) for file in self.left.event_logs() for line in file.read_text().splitlines()[-1:]]
        newest: dict[str, Any] = max(lines, key=lambda event: event["at"], default={})
        shown = " ".join(f"{newest[name]}" for name in ("event", "trial", "step") if name in newest)
        return f"{self.events()} events, newest: {shown or 'none'}"

    def keep(self, folder: Path) -> None:
        """Copy everything that is left of the search."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("filler"))

    def start(self) -> "subprocess.Popen[str]":
        """Begin the search or go on with it, when MLflow's server is up."""
        self.wait_for_server()
        return start(self._space, self.home, *self._options())

    def _options(self) -> list[str]:
        options = ["--storage", str(self.left.storage), "--tracking-uri", self.left.uri, "--seed", str(self._seed)]
        if self._cluster is not None:
            options += ["--address", self._cluster.address]
        return [*options, "--cpus", str(self.slots)]

    def trial_processes(self, driver: int) -> list[int]:
        """The processes in which this search's trials train."""
        return trial_processes(driver if self._node is None else self._raylet())

    def _raylet(self) -> int:
        return int(self._node.all_processes["raylet"][0].process.pid)

    def kill_node(self) -> None:
        """SIGKILL everything that runs on the node with the slots."""
        assert self._cluster is not None, "without a cluster there is no node to kill"
        orphans = descendants(self._raylet())
        self._cluster.remove_node(self._node, allow_graceful=False)
        for process in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def add_node(self) -> None:
        """A node with the search's slots joins the cluster, if there is one."""
        if self._cluster is not None:
            small = {"object_store_memory": _OBJECT_STORE_BYTES}
            self._node = self._cluster.add_node(num_cpus=self.slots, num_gpus=0, **small)

    def kill_server(self, seconds: float) -> None:
        """SIGKILL MLflow's server, which is up; it is back some seconds later."""
        self._server.kill()
        self._restart = threading.Thread(target=self._start_server_after, args=(seconds,))
        self._restart.start()

    def _start_server_after(self, seconds: float) -> None:
        time.sleep(seconds)
        self._server.start()

    def wait_for_server(self) -> None:
        """Return when MLflow's server answers again."""
        if self._restart is not None:
            self._restart.join()
            self._restart = None

    def close(self) -> None:
        """End everything that was started here."""
        self.wait_for_server()
        self._stack.close()


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    """A Ray cluster of which only the head is there, and which has no slots."""
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": _OBJECT_STORE_BYTES}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    try:
        yield made
    finally:
        made.shutdown()
