"""Several hosts on one machine: processes, network, host name and /dev/shm of their own, joined by a switch.

A host is what Linux calls a set of namespaces, held by one process that reads a pipe from this one. When that process
ends, be it that :class:`Hosts` is closed or that the test is killed, the kernel kills everything on the host, and its
network goes with it. The switch is a namespace too, so that nothing is ever seen in this machine's own network, and
two runs cannot meet.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest

BIN = Path(sys.executable).parent
RAY_PORT = 6379
OBJECT_STORE_BYTES = 150_000_000
_TOOLS = ("ip", "unshare", "nsenter")


def skip_unless_possible() -> None:
    """Skip the test, with the reason, where hosts cannot be made."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (Debian: apt-get install iproute2 util-linux)")
    tried = subprocess.run(["unshare", "--net", "--pid", "--fork", "ip", "link"], capture_output=True, check=False)
    if os.geteuid() != 0 or tried.returncode != 0:
        pytest.skip("hosts are made of network namespaces; only root may make those")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-3000:]}"


class _Namespaces:
    """Namespaces, and the process that keeps them; ``pid`` is that process as this machine numbers it."""

    def __init__(self, *kinds: str) -> None:
        held = ["unshare", *kinds, "--fork", "--kill-child", "bash", "-c", "cat; exit"]  # bash buries what dies
        self._holder = subprocess.Popen(held, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.pid = _child(self._holder.pid)

    def close(self) -> None:
        """Returns when every process in them is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self._holder.communicate()


def _child(parent: int) -> int:
    """The only child of a process, once there is one."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError(f"process {parent} has started nothing")


class Host:
    """One host; its folder has Ray's logs (``ray``) and its root's home (``root``)."""

    def __init__(
        self,
        name: str,
        address: str,
        spaces: _Namespaces,
        switch: _Namespaces,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.name, self.address, self._spaces, self._switch = name, address, spaces, switch
        # What an earlier test's Ray of this process has left in its environment does not reach another machine.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "TUNE_"))}
        own = {"HOME": str(folder / "root"), "RAY_worker_niceness": "0"}
        self._environment = {**inherited, **own, **environment}
        for private in ("ray", "root"):
            (folder / private).mkdir(parents=True)
        Path("/tmp/ray").mkdir(exist_ok=True)
        _run(*self._inside("hostname", name))
        _run(*self._inside("mount", "-t", "tmpfs", "tmpfs", "/dev/shm"))
        _run(*self._inside("mount", "--bind", str(folder / "ray"), "/tmp/ray"))
        pids = str(spaces.pid), str(switch.pid)
        _run("ip", "link", "add", "eth0", "netns", pids[0], "type", "veth", "peer", "name", name, "netns", pids[1])
        _run("nsenter", "--target", pids[1], "--net", "ip", "link", "set", "dev", name, "master", "switch", "up")
        for settings in (
            ["addr", "add", f"{address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["link", "set", "lo", "up"],
            ["route", "add", "default", "dev", "eth0"],
        ):
            _run(*self._inside("ip", *settings))

    def _inside(self, *command: str) -> list[str]:
        kinds = ("--net", "--pid", "--mount", "--uts")
        return ["nsenter", "--target", str(self._spaces.pid), *kinds, "--", *command]

    def start(self, *command: str, log: Path) -> "Running":
        """A process on this host, whose output is added to ``log``."""
        with log.open("a") as file:
            started = subprocess.Popen(
                self._inside(*command), stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=self._environment
            )
        return Running(started)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """A command on this host, when it has ended."""
        return subprocess.run(
            self._inside(*command), capture_output=True, text=True, check=False, env=self._environment
        )

    def start_ray(self, head: "Host | None" = None, cpus: int = 4, gpus: int = 0) -> None:
        """``ray start``: a head, or a worker of ``head``; returns when it is up."""
        role = ["--head", f"--port={RAY_PORT}", "--include-dashboard=false"]
        if head is not None:
            role = [f"--address={head.ray_address}"]
        given = [f"--num-cpus={cpus}", f"--num-gpus={gpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
        command = [str(BIN / "ray"), "start", *role, f"--node-ip-address={self.address}", *given]
        started = subprocess.run(
            self._inside(*command, "--disable-usage-stats"),
            capture_output=True, text=True, check=False, env=self._environment, timeout=120,
        )  # fmt: skip
        assert started.returncode == 0, f"{self.name}: {started.stdout[-2000:]}{started.stderr[-2000:]}"

    @property
    def ray_address(self) -> str:
        return f"{self.address}:{RAY_PORT}"

    def processes(self) -> list[int]:
        """Everything that runs on this host but the process that holds it, as this machine numbers it."""
        mine = Path(f"/proc/{self._spaces.pid}/ns/pid").readlink()
        found = []
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and (folder / "ns" / "pid").readlink() == mine:
                    found.append(int(folder.name))
            except OSError:
                continue  # it has just ended
        holders = {self._spaces.pid, _child(self._spaces.pid)}
        return [pid for pid in found if pid not in holders]

    def running(self, what: str) -> list[int]:
        """Those processes on this host that have ``what`` in their command line."""
        commands = {pid: Path(f"/proc/{pid}/cmdline") for pid in self.processes()}
        return [pid for pid, file in commands.items() if file.exists() and what.encode() in file.read_bytes()]

    def kill_processes(self) -> None:
        """SIGKILL everything that runs on this host; its network stays."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def set_cable(self, *, plugged: bool) -> None:
        """Pull this host's cable at the switch, or plug it in again."""
        state = "up" if plugged else "down"
        _run("nsenter", "--target", str(self._switch.pid), "--net", "ip", "link", "set", "dev", self.name, state)


class Running:
    """A process on a host."""

    def __init__(self, entered: "subprocess.Popen[bytes]") -> None:
        self._entered = entered
        self.poll, self.wait = entered.poll, entered.wait

    def kill(self) -> None:
        """SIGKILL to the process itself, not to the one that has entered the host for it."""
        os.kill(_child(self._entered.pid), signal.SIGKILL)
        self._entered.wait()


class Hosts:
    """Hosts on one switch; all of them end together.

    Args:
        folder: what the hosts keep, each in a folder of its name.
        environment: of every process on them.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> "Hosts":
        self._switch = self._namespaces("--net")
        for change in (["add", "switch", "type", "bridge"], ["set", "switch", "up"]):
            _run("nsenter", "--target", str(self._switch.pid), "--net", "ip", "link", *change)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, name: str) -> Host:
        """Another host."""
        self._count += 1
        spaces = self._namespaces("--net", "--pid", "--mount", "--uts", "--mount-proc")
        address, folder = f"10.77.0.{self._count}", self._folder / name
        return Host(name, address, spaces, self._switch, folder, self._environment)

    def _namespaces(self, *kinds: str) -> _Namespaces:
        made = _Namespaces(*kinds)
        self._stack.callback(made.close)
        return made
