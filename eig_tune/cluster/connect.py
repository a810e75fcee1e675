"""Ray: starting or joining it, and how many trials fit."""

import logging
import math
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eig_tune.errors import ClusterError, one_line
from eig_tune.stopping import sigterm_comes_later

_COUNT_EVERY_SECONDS = 1.0
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would stay there, and swallow the next Ctrl-C
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # The event log is what a search resumes from; Ray's own snapshots of all trials would only cost time.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    # How many trials wait for a slot is the searcher's business; Ray would start their processes one by one.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}

# Ray of this machine alone listens to this machine alone. Ray has no option for it, but this is how it is on a Mac.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_AUTH_MODE = "RAY_AUTH_MODE"
_ADDRESS = "give the HOST:PORT that `ray start --head` has printed"
_TOKEN_PLACES = "RAY_AUTH_TOKEN, in the file that RAY_AUTH_TOKEN_PATH names, or in ~/.ray/auth_token"
_KNOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Resources:
    """What a search may use: GPUs (shared by ``trials_per_gpu`` trials each) or CPUs.

    Attributes:
        gpus: at most so many; 0 is the CPU, and None all that there are, also those of nodes that join later.
        cpus: without GPUs at most so many; None is all, in the same way.
    """

    gpus: int | None
    trials_per_gpu: int
    cpus: int | None

    def slots(self, nodes: Iterable[Mapping[str, float]]) -> int:
        """Trials at once on nodes with these resources, as Ray names them; a trial on a GPU takes a CPU as well."""
        if self.gpus == 0:
            there, most = sum(int(node.get("CPU", 0)) for node in nodes), self.cpus
        else:
            per_node = (min(int(n.get("GPU", 0)) * self.trials_per_gpu, int(n.get("CPU", 0))) for n in nodes)
            there, most = sum(per_node), None if self.gpus is None else self.gpus * self.trials_per_gpu
        return there if most is None else min(there, most)

    @property
    def per_trial(self) -> dict[str, float]:
        """What Ray sets aside for one trial; without GPUs one CPU, and so one thread."""
        return {"cpu": 1} if self.gpus == 0 else {"cpu": 1, "gpu": 1 / self.trials_per_gpu}

    @property
    def device(self) -> str:
        """Where a trial trains."""
        return "cpu" if self.gpus == 0 else "cuda"


class Slots:
    """How many trials may run at once: follows the cluster, whose nodes come and go."""

    def __init__(self, given: Resources) -> None:
        self._given = given
        self._counted = -math.inf
        self._now = self.most = 0
        self.now()

    def now(self) -> int:
        """As many as there were within the last second; one if there are none, so that Ray waits for a node."""
        import ray

        if time.monotonic() - self._counted > _COUNT_EVERY_SECONDS:
            nodes = (node["Resources"] for node in ray.nodes() if node["Alive"])
            self._now = max(1, self._given.slots(nodes))
            self._counted = time.monotonic()
            self.most = max(self.most, self._now)
        return self._now


def start_ray(address: str | None, cpus: int | None) -> None:
    """Start Ray on this machine, for this machine alone, or join the cluster at ``address``.

    Raises:
        ClusterError: there is no cluster at ``address``, or it does not let us in.
    """
    for variable, value in (_QUIET if address else _QUIET | _LOOPBACK).items():
        os.environ.setdefault(variable, value)
    joined = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    if not joined:
        if address:
            _knock(address)
        _settle_the_token(address)
    import ray  # it reads the environment as soon as it is imported

    for noisy in ("ray", "ray.tune", "ray.train"):
        # What goes wrong in a trial is told in the trial's own words, and its traceback lies in a file.
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    if joined:
        return
    if address:
        _show_the_token(address)
    _leave_signals_alone()
    try:
        with sigterm_comes_later():
            ray.init(
                address=address or "local",
                num_cpus=None if address else cpus,
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise _unreachable(address, _why_not(error)) from error
    # When a node is lost, Ray would print its last words, a page of C++ frames, on stdout, where only results belong.
    ray._private.worker._worker_logs_enabled = False


def _leave_signals_alone() -> None:
    """Signals are for the command, which ends Ray when it has kept everything.

    Ray would answer SIGTERM itself as soon as it begins to start, first by Python's means, then with a page of C++
    frames. And its processes here would get what is sent to the command's process group, by a terminal's Ctrl-C or by
    ``timeout``: trials would die under a search that is ending gently.
    """
    from ray._private import utils

    die_with_us = utils.set_kill_on_parent_death_linux

    def begin_apart() -> None:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        die_with_us()

    utils.set_sigterm_handler = lambda handler: None
    utils.set_kill_on_parent_death_linux = begin_apart


def _settle_the_token(address: str | None) -> None:
    if not _token_is_there():
        if not address:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex()  # Ray would write one into HOME
    elif address and not os.environ.get(_AUTH_MODE) and _wants_a_token(address):
        os.environ[_AUTH_MODE] = "token"


def _token_is_there() -> bool:
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or Path("~/.ray/auth_token").expanduser().is_file()


def _wants_a_token(address: str) -> bool:
    """Whether the cluster turns away who shows no token.

    Ray by itself shows none, and to show one to a cluster that wants none is no courtesy either: this process would
    then turn away the cluster, and no trial would ever start. Ray reads once how it shall be, so another process asks.
    """
    program = (
        "import sys; from ray._private.services import canonicalize_bootstrap_address as resolved; "
        "from ray._raylet import GcsClient; GcsClient(address=resolved(sys.argv[1]))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", program, address],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, _AUTH_MODE: "disabled"},
    )
    return "AuthenticationError" in asked.stderr


def _knock(address: str) -> None:
    """Find out in a moment what ``ray.init`` would try for 20 to 40 seconds, and not tell why.

    Raises:
        ClusterError: nobody answers at ``address``.
    """
    if "://" in address:
        raise _unreachable(address, f"a search is driven from a machine of the cluster; {_ADDRESS}")
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()):
        return  # `auto`, which Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, f"{error.strerror or error}; {_ADDRESS}") from error


def _show_the_token(address: str) -> None:
    """The same for a token.

    Raises:
        ClusterError: it is not the right one.
    """
    if ":" not in address:
        return  # `auto`
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import RayError

    try:
        with _silent_stderr():
            GcsClient(address=address)
    except RayError as error:
        raise _unreachable(address, _why_not(error)) from error


def _unreachable(address: str | None, why: str) -> ClusterError:
    where = f"the Ray cluster at {address}" if address else "Ray on this machine"
    return ClusterError(f"--address: {where} cannot be {'reached' if address else 'started'}: {why}")


def _why_not(error: Exception) -> str:
    """Ray's paragraphs as one line with its remedy."""
    from ray.exceptions import AuthenticationError

    if isinstance(error, AuthenticationError):
        return _what_is_wrong_with_the_token()
    told = one_line(error)
    if told.startswith("Version mismatch"):
        return f"{told}; install the same versions on all machines"
    return told


def _what_is_wrong_with_the_token() -> str:
    if (os.environ.get(_AUTH_MODE) or "token") != "token":
        return f"it wants a token, and {_AUTH_MODE} forbids to show one; unset it"
    known = "this is not its token" if _token_is_there() else "it wants a token, and there is none here"
    return f"{known}; the cluster's own belongs in {_TOKEN_PLACES}"


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Ray's C++ part writes to the file, not to ``sys.stderr``."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def check_this_machine(gpus: int | None, cpus: int | None) -> None:
    """Refuse at once what this machine cannot give, before anything is started or made.

    Raises:
        ClusterError: more was asked for than there is.
    """
    import torch

    _check_there_is("--gpus", gpus, torch.cuda.device_count(), "this machine")
    _check_there_is("--cpus", cpus, os.cpu_count() or 1, "this machine")


def resources(gpus: int | None, trials_per_gpu: int, cpus: int | None) -> Resources:
    """What the running cluster can give of what was asked for; GPUs if it has any, unless told otherwise.

    Raises:
        ClusterError: more was asked for than there is.
    """
    import ray

    available = ray.cluster_resources()
    gpus_there, cpus_there = int(available.get("GPU", 0)), int(available.get("CPU", 0))
    _check_there_is("--gpus", gpus, gpus_there, "the cluster")
    _check_there_is("--cpus", cpus, cpus_there, "the cluster")
    return Resources(0 if gpus_there == 0 else gpus, trials_per_gpu, cpus)


def _check_there_is(option: str, wanted: int | None, there: int, where: str) -> None:
    if wanted is not None and wanted > there:
        remedy = "0 is the CPU" if there == 0 else f"ask for at most {there}"
        raise ClusterError(f"{option}: asked for {wanted}, but {where} has {there or 'none'}; {remedy}")
