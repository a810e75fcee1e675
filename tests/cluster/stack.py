"""The services of a compose file as processes of this machine, started by the file's own commands.

Of compose it does what that needs: variables, merged keys, secrets as files, entrypoint and command, environment,
health checks, `depends_on` with its conditions, scale, restarts, `exec`. Images, volumes and networks are left out:
folders, hosts and ports are variables of the file.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from searches import descendants

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}|\$\$")
_INHERITED = ("PYTHONPATH", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_PATIENCE_SECONDS = 300
_GRACE_SECONDS = 10


@dataclass
class Process:
    """A service, or one of its replicas, that was started."""

    definition: Mapping[str, Any]
    environment: dict[str, str]
    log: Path
    popen: "subprocess.Popen[bytes]"
    healthy: bool = False

    def check(self) -> bool:
        """Whether the health check of the file is content, or has been before."""
        check = self.definition.get("healthcheck")
        if not self.healthy and check is not None and not check.get("disable"):
            kind, *command = check["test"]
            assert kind == "CMD"
            self.healthy = (
                subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode == 0
            )
        return self.healthy

    def completed(self) -> bool:
        """Whether it has ended, and well."""
        return self.popen.poll() == 0

    def failed(self) -> bool:
        """Whether it has ended, and not well."""
        return self.popen.poll() not in (None, 0)


@dataclass
class Stack:
    """A compose file, brought up without containers.

    Args:
        file: the compose file.
        folder: where each process has a folder for its log, its secrets and its temporary files.
        variables: for the file.
        fresh: variables that are another one in every process, such as a port.
        base: environment of every process, as an image has one; ``PATH`` must find the commands.
        instead: definitions that replace a service's own, where its program cannot be had here.
        before: called with a service's environment before it starts: what its image's entrypoint does.
        users: the user that runs a service, where it is another one.
    """

    file: Path
    folder: Path
    variables: Mapping[str, str]
    fresh: Mapping[str, Callable[[], str]]
    base: Mapping[str, str]
    instead: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    before: Mapping[str, Callable[[Mapping[str, str]], None]] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, list[Process]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._document = yaml.safe_load(self.file.read_text())

    def up(self) -> None:
        """Start every service as soon as those it depends on let it, and wait until all are healthy.

        Replicas start one after another: Ray's nodes choose the names of their sockets by what there is already, and
        here they share one folder.
        """
        waiting, end = dict(self._document["services"]), time.monotonic() + _PATIENCE_SECONDS
        while waiting or self._unwell():
            for name in [name for name in waiting if self._may_start(name)]:
                replicas = self.processes.setdefault(name, [])
                replicas.append(self._start(name, len(replicas)))
                if len(replicas) == int(substituted(waiting[name].get("scale", 1), self.variables)):
                    del waiting[name]
            self._start_again()
            assert time.monotonic() < end, f"not started: {[*waiting]}, not healthy: {self._unwell()}"
            time.sleep(0.3)

    def _start(self, name: str, number: int, *, again: bool = False) -> Process:
        place = self.folder / f"{name}-{number}"
        fresh = {variable: make() for variable, make in self.fresh.items()}
        variables = {**self.variables, "EIG_SECRETS": str(place / "secrets"), **fresh}
        definition = {**substituted(self._document["services"][name], variables), **self.instead.get(name, {})}
        environment = {**self.base, "TMPDIR": str(place / "tmp"), **definition.get("environment", {})}
        if not again:
            (place / "tmp").mkdir(parents=True)
            self._hand_over_secrets(definition, place / "secrets")
            if name in self.before:
                self.before[name](environment)
        log = place / "log"
        with log.open("a") as opened:
            popen = subprocess.Popen(
                [*definition.get("entrypoint", []), *definition["command"]],
                stdout=opened,
                stderr=opened,
                env=environment,
                cwd=self.folder,
                user=self.users.get(name),
                start_new_session=True,
            )
        return Process(definition, environment, log, popen)

    def _start_again(self) -> None:
        """What a restart policy asks for."""
        for name, replicas in self.processes.items():
            for number, process in enumerate(replicas):
                if process.failed() and process.definition.get("restart") in ("unless-stopped", "on-failure"):
                    replicas[number] = self._start(name, number, again=True)

    def exec(self, name: str, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command where a service runs, as `docker compose exec` does."""
        where = {**self.processes[name][0].environment, **environment}
        return subprocess.run(command, env=where, cwd=self.folder, capture_output=True, text=True, check=False)

    def down(self) -> None:
        """End everything that was started; whoever does not end within some seconds is ended by force."""
        processes = [process.popen for replicas in self.processes.values() for process in replicas]
        below = [pid for process in processes for pid in descendants(process.pid)]
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + _GRACE_SECONDS
        while any(process.poll() is None for process in processes) and time.monotonic() < end:
            time.sleep(0.1)
        for pid in (*(process.pid for process in processes), *below):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in processes:
            process.wait()

    def _hand_over_secrets(self, definition: Mapping[str, Any], folder: Path) -> None:
        """Those secrets that the service lists, and no others."""
        folder.mkdir(mode=0o755)
        for entry in definition.get("secrets", []):
            source, target = (entry, entry) if isinstance(entry, str) else (entry["source"], entry["target"])
            file = folder / target  # an absolute target stays what it is
            file.parent.mkdir(parents=True, exist_ok=True)
            where = Path(self.variables["EIG_SECRETS"]).parent / self._document["secrets"][source]["file"]
            file.write_bytes(where.read_bytes())

    def _may_start(self, name: str) -> bool:
        needed = self._document["services"][name].get("depends_on", {})
        earlier_replicas = self.processes.get(name, [])
        return all(map(Process.check, earlier_replicas)) and all(self._fulfilled(*item) for item in needed.items())

    def _fulfilled(self, name: str, needed: Mapping[str, str]) -> bool:
        met = {"service_healthy": Process.check, "service_completed_successfully": Process.completed}
        replicas = self.processes.get(name, [])
        return bool(replicas) and all(met[needed["condition"]](process) for process in replicas)

    def _unwell(self) -> list[str]:
        """What the logs of those say that are neither healthy nor done."""
        return [
            f"{process.log.parent.name}: {process.log.read_text()[-2000:]}"
            for replicas in self.processes.values()
            for process in replicas
            if not (process.check() or process.completed())
        ]


def substituted(value: Any, variables: Mapping[str, str]) -> Any:
    """The value with compose's variables put in, however deep they lie."""
    if isinstance(value, Mapping):
        return {key: substituted(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [substituted(inner, variables) for inner in value]
    return _VARIABLE.sub(lambda found: _put_in(found, variables), value) if isinstance(value, str) else value


def _put_in(found: "re.Match[str]", variables: Mapping[str, str]) -> str:
    return "$" if found["name"] is None else variables.get(found["name"], found["default"])


def base_environment(*folders: Path) -> dict[str, str]:
    """The environment of an image: programs in these folders and of this Python, and nothing that is somebody's."""
    path = [str(Path(sys.executable).parent), *map(str, folders), os.environ["PATH"]]
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, "PATH": os.pathsep.join(path)}


def lines_with(secrets: Mapping[str, str], files: Iterator[Path]) -> list[str]:
    """Where a secret stands that should stand nowhere: file and the secret's name."""
    return [f"{file}: {name}" for file in files for name, secret in secrets.items() if secret in _text(file)]


def _text(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")
