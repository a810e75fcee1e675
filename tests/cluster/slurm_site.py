"""Debian's Slurm on hosts of its own, all on this machine: a controller and nodes with two CPUs each."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import pytest
from hosts import Host, Hosts, Running, skip_unless_possible

_PROGRAMS = ("slurmctld", "slurmd", "munged", "mungekey", "sbatch")
_CONTROLLER = "ctl"
_TEMPORARY = Path("/tmp/eig-test")  # each host has one of its own there, as it has /tmp on a real cluster
# Lost nodes are given up soon, and a job that queues again begins soon.
_CONFIGURATION = """
ClusterName=eig
SlurmctldHost=ctl(10.77.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
JobAcctGatherType=jobacct_gather/none
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
ReturnToService=2
SlurmdTimeout=20
KillWait=20
PropagateResourceLimits=NONE
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def skip_unless_installed() -> None:
    """Skip the test, with the reason, where there is no Slurm or hosts cannot be made."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)")
    skip_unless_possible()


class Slurm:
    """A cluster; everything ends with it.

    Args:
        folder: what it keeps, which all hosts see.
        nodes: how many.
        gpus: of each node, as far as Slurm knows.
    """

    def __init__(self, folder: Path, nodes: int, environment: Mapping[str, str], gpus: int = 0) -> None:
        self.folder, self._gpus = folder, gpus
        self._names = [f"n{number}" for number in range(1, nodes + 1)]
        # Slurm's commands find it by this variable; what Ray's test environment has is for all that runs here.
        own = {"SLURM_CONF": str(folder / "slurm.conf"), "TMPDIR": str(_TEMPORARY)}
        self._hosts = Hosts(folder / "hosts", {**environment, **own})
        self._socket = Path(tempfile.mkdtemp(prefix="munge-"))

    def __enter__(self) -> "Slurm":
        (self.folder / "state").mkdir(parents=True)
        (self.folder / "munge").symlink_to(self._socket)
        self._write_configuration()
        self._hosts.__enter__()
        self.controller = self._hosts.add(_CONTROLLER)
        self.nodes = {name: self._hosts.add(name) for name in self._names}
        self._know_each_other()
        self._start_munge()
        self._daemons = [self.controller.start("slurmctld", "-D", log=self.folder / "slurmctld.out")]
        for name in self.nodes:
            self.start_node(name)
        self.wait_for_all_nodes()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hosts.__exit__(kind, error, trace)
        shutil.rmtree(self._socket, ignore_errors=True)

    def wait_for_all_nodes(self) -> None:
        """Until every node is there, and idle."""

        def idle() -> bool:
            return self.said("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == str(len(self.nodes))

        self.wait_for("all nodes", idle)

    def start_node(self, name: str) -> Running:
        """Its daemon, as after the machine's start, when nothing is left of temporary files."""
        for left in self.temporary(name).iterdir():
            shutil.rmtree(left)
        (self.folder / f"spool-{name}").mkdir(exist_ok=True)
        return self.nodes[name].start("slurmd", "-D", "-N", name, log=self.folder / f"slurmd-{name}.out")

    def lose(self, name: str) -> None:
        """Cut a node's power: everything on it is gone, and its cable is out."""
        self.nodes[name].set_cable(plugged=False)
        self.nodes[name].kill_processes()

    def said(self, *command: str, of: str = _CONTROLLER) -> str:
        """What a command prints on a host."""
        done = self.host(of).run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def host(self, name: str) -> Host:
        return self.controller if name == _CONTROLLER else self.nodes[name]

    def submit(self, script: Path, *arguments: str | Path, within: Path, options: tuple[str, ...] = ()) -> str:
        """A job's number."""
        command = ["sbatch", "--parsable", f"--chdir={within}", *options, str(script), *map(str, arguments)]
        return self.said(*command).strip()

    def state(self, job: str) -> str:
        """Of a job, such as RUNNING."""
        shown = self.said("scontrol", "show", "job", job)
        return shown.partition("JobState=")[2].split()[0]

    def wait_for(self, what: str, met: Callable[[], bool], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < end, f"waited in vain for {what}\n{self.log()}"
            time.sleep(0.5)

    def log(self) -> str:
        """The end of what the controller has noted."""
        file = self.folder / "slurmctld.log"
        return file.read_text()[-3000:] if file.exists() else ""

    def _write_configuration(self) -> None:
        gres = f" Gres=gpu:{self._gpus}" if self._gpus else ""
        shape = f"CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=4000{gres}"
        lines = [
            f"NodeName={name} NodeAddr=10.77.0.{number} {shape} State=UNKNOWN"
            for number, name in enumerate(self._names, start=2)
        ]
        text = _CONFIGURATION.format(folder=self.folder, nodes="\n".join(lines))
        (self.folder / "slurm.conf").write_text(text)
        if self._gpus:
            for number in range(self._gpus):
                (self.folder / f"gpu{number}").touch()  # Slurm wants a file for each
            every = f"Name=gpu File={self.folder}/gpu[0-{self._gpus - 1}]\n"
            (self.folder / "gres.conf").write_text("".join(f"NodeName={name} {every}" for name in self._names))

    def _start_munge(self) -> None:
        """A daemon for all hosts, which share this machine's files."""
        key = self._socket / "key"
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True)
        places = [f"--{what}={self._socket / what}" for what in ("socket", "pid-file", "log-file", "seed-file")]
        command = ["munged", "--foreground", "--force", f"--key-file={key}", *places]
        munge = self.controller.start(*command, log=self.folder / "munged.out")
        end = time.monotonic() + 10
        while not (self._socket / "socket").exists():
            assert munge.poll() is None and time.monotonic() < end, (self._socket / "log-file").read_text()
            time.sleep(0.1)

    def _know_each_other(self) -> None:
        """Every host finds the others by their names, and sees nothing of their temporary files."""
        every = {_CONTROLLER: self.controller, **self.nodes}
        names = self.folder / "names"
        lines = ["127.0.0.1 localhost", *(f"{host.address} {name}" for name, host in every.items())]
        names.write_text("\n".join(lines) + "\n")
        _TEMPORARY.mkdir(exist_ok=True)
        for name, host in every.items():
            self.temporary(name).mkdir()
            for own, seen in ((names, Path("/etc/hosts")), (self.temporary(name), _TEMPORARY)):
                assert host.run("mount", "--bind", str(own), str(seen)).returncode == 0

    def temporary(self, name: str) -> Path:
        """The folder of a host for temporary files, as it is seen from everywhere."""
        return self.folder / f"temporary-{name}"
