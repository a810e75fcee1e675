"""docker/ray_up.yaml with `ray up` and `ray down`, over a real sshd on each of three hosts."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hosts import BIN, Host, Hosts, skip_unless_possible

pytestmark = [pytest.mark.slow, pytest.mark.real_cluster]
ROOT = Path(__file__).parents[2]
MACHINES = ("head", "worker-1", "worker-2")
_PROGRAMS = {"/usr/sbin/sshd": "openssh-server", "/usr/bin/rsync": "rsync"}
_NOT_COPIED = (".git", ".venv*", "eig-runs", "demo", "*_cache", "__pycache__", "secrets")


class Machines:
    """Three machines with ssh, and one from which they are made a cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hosts = Hosts(folder / "hosts", {"RAY_USAGE_STATS_ENABLED": "0"})

    def __enter__(self) -> "Machines":
        self._hosts.__enter__()
        self.own = self._hosts.add("own")
        self.machines = {name: self._hosts.add(name) for name in MACHINES}
        self._make_keys()
        every = {"own": self.own, **self.machines}
        for name, host in every.items():
            self._make_home(name, host)
        for name, host in self.machines.items():
            self._start_sshd(name, host)
        return self

    def __exit__(self, *_ended: object) -> None:
        self._hosts.__exit__(None, None, None)

    def home(self, name: str) -> Path:
        return self.folder / "hosts" / name / "root"

    def _make_keys(self) -> None:
        for key in ("host_key", "user_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key)]
            subprocess.run(command, check=True)

    def _make_home(self, name: str, host: Host) -> None:
        """Root's, of this host alone, with the environment that `make install` would make there."""
        environment = self.home(name) / "eig-tune" / ".venv"
        environment.mkdir(parents=True)
        (environment / "bin").symlink_to(BIN)
        ready = environment / ".ready"
        ready.touch()
        os.utime(ready, (time.time() + 1e6,) * 2)  # newer than what it depends on
        ssh = self.home(name) / ".ssh"
        ssh.mkdir(mode=0o700)
        shutil.copy(self.folder / "user_key.pub", ssh / "authorized_keys")
        passwd, names = self.folder / f"passwd-{name}", self.folder / f"names-{name}"
        lines = Path("/etc/passwd").read_text().splitlines()
        passwd.write_text("\n".join([f"root:x:0:0:root:{self.home(name)}:/bin/bash", *lines[1:]]) + "\n")
        known = [f"{each.address} {other}" for other, each in {"own": self.own, **self.machines}.items()]
        names.write_text("\n".join(["127.0.0.1 localhost", *known]) + "\n")
        for own, seen in ((passwd, "/etc/passwd"), (names, "/etc/hosts")):
            assert host.run("mount", "--bind", str(own), seen).returncode == 0

    def _start_sshd(self, name: str, host: Host) -> None:
        Path("/run/sshd").mkdir(exist_ok=True)
        options = ("UsePAM=no", "StrictModes=no", "PermitRootLogin=yes", f"PidFile={self.folder}/sshd-{name}.pid")
        given = [word for option in options for word in ("-o", option)]
        key = str(self.folder / "host_key")
        host.start("/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", key, *given, log=self.folder / f"sshd-{name}")


@pytest.fixture
def machines() -> Iterator[Machines]:
    missing = [package for program, package in _PROGRAMS.items() if not Path(program).exists()]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (Debian: apt-get install {' '.join(missing)})")
    skip_unless_possible()
    folder = Path(tempfile.mkdtemp(prefix="ray-up-"))
    with Machines(folder) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def write_file(machines: Machines, checkout: Path) -> Path:
    """The file as a person would, with names, user and key of their own; the token as make_secrets.sh makes it."""
    subprocess.run([checkout / "docker" / "make_secrets.sh"], check=True, capture_output=True)
    written = yaml.safe_load((checkout / "docker" / "ray_up.yaml").read_text())
    written["provider"].update(head_ip=MACHINES[0], worker_ips=list(MACHINES[1:]))
    written["auth"] = {"ssh_user": "root", "ssh_private_key": str(machines.folder / "user_key")}
    file = checkout / "docker" / "ray_up.yaml"
    file.write_text(yaml.safe_dump(written, sort_keys=False))
    return file


def wait_for(what: str, met: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(1)


def of_ray(host: Host) -> list[str]:
    """Command lines of what Ray has on a host."""
    lines = [Path(f"/proc/{pid}/cmdline") for pid in host.running("session_")]
    return [line.read_bytes().replace(b"\0", b" ").decode()[:300] for line in lines if line.exists()]


def test_ray_up_starts_every_worker_and_ray_down_leaves_no_process(machines: Machines) -> None:
    checkout = machines.folder / "checkout"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    file = str(write_file(machines, checkout).relative_to(checkout))

    def ray(*command: str, seconds: float = 300) -> str:
        whole = ["env", "--chdir", str(checkout), str(BIN / "ray"), *command]
        done = machines.own.run("timeout", str(seconds), *whole)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    ray("up", "--yes", file)
    status = "RAY_AUTH_MODE=token ray status"
    wait_for("both workers", lambda: ray("exec", file, status).count(" local.cluster.node") == 3, seconds=240)
    doctor = "cd eig-tune && RAY_AUTH_MODE=token eig-tune doctor --address auto --gpus 0 --home /tmp/ray/home"
    said = ray("exec", file, f"{doctor} || true")
    assert "3 nodes on 3 hosts" in said
    ray("down", "--yes", file)
    try:
        wait_for("the end of Ray everywhere", lambda: not any(map(of_ray, machines.machines.values())), seconds=90)
    except AssertionError as error:
        raise AssertionError(f"{error}: {[of_ray(host) for host in machines.machines.values()]}") from error
