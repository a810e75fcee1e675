"""Ray: starting it on this machine, or joining a cluster."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eig_tune.cluster import auth, ray_private
from eig_tune.cluster.sockets import others_user, temporary_folder
from eig_tune.errors import ClusterError, one_line
from eig_tune.processors import processors
from eig_tune.stopping import sigterm_comes_later

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
    "TUNE_RESULT_BUFFER_LENGTH": "1",  # a trial trains no further before its report was decided on, and kept
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}
_ADDRESS = "give the HOST:PORT that `ray start --head` has printed"
_ANSWER_SECONDS = 5.0


def start_ray(address: str | None, cpus: int | None) -> None:
    """Start Ray on this machine, for this machine alone, or join the cluster at ``address``; no effect if joined.

    What Ray logs is logged under ``eig_tune.ray`` at the level DEBUG: of what goes wrong in a trial the engine reports
    what matters, and the trial's traceback lies in a file.

    Args:
        address: HOST:PORT of a cluster, ``auto``, or None for this machine.
        cpus: how many a Ray of this machine has; None is all that this process may use. A cluster has its own.

    Raises:
        ClusterError: there is no cluster at ``address``, or it does not let us in.
    """
    # Ray reads the environment as soon as it is imported.
    for variable, value in (_QUIET if address else _QUIET | ray_private.LOOPBACK_ONLY).items():
        os.environ.setdefault(variable, value)
    if not _is_running():
        if address:
            _check_answers(address)
        auth.settle_token(address)
        forward_logs()
        if address:
            _check_lets_us_in(address)
        _init(address, cpus)


@contextmanager
def own_ray_ends() -> Iterator[None]:
    """A Ray that is started in the block ends with it and frees its memory; one that runs already is left alone.

    What keeps a Ray of this machine to this machine is taken out of the environment again: a ``ray start`` that the
    process runs afterwards would refuse to be part of a cluster.
    """
    if _is_running():
        yield
        return
    ours = [variable for variable in ray_private.LOOPBACK_ONLY if variable not in os.environ]
    try:
        yield
    finally:
        if _is_running():
            sys.modules["ray"].shutdown()
        for variable in ours:
            os.environ.pop(variable, None)


def _is_running() -> bool:
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


def forward_logs() -> None:
    """Log what Ray logs in this process under ``eig_tune.ray`` at the level DEBUG, instead of printing it."""
    # In a notebook, Ray prints while it is imported that it wants widgets.
    logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
    import ray

    logger = logging.getLogger(ray.__name__)
    logger.setLevel(logging.WARNING)
    logger.handlers = [_Forward()]


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(f"eig_tune.{record.name}").debug(
            "Ray's %s: %s", record.levelname.lower(), record.getMessage()
        )


def _init(address: str | None, cpus: int | None) -> None:
    import ray

    ray_private.leave_signals_alone()
    # Ray counts the CPUs of the machine, whatever this process may use of them.
    ours = {} if address else {"num_cpus": cpus or processors().usable, "_temp_dir": temporary_folder()}
    try:
        with sigterm_comes_later():
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                **ours,
                log_to_driver=False,
                logging_level=logging.WARNING,  # configure_logging=False would take our handler away
            )
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise _unreachable(address, _why_not(error)) from error
    ray_private.silence_lost_nodes()


def _check_answers(address: str) -> None:
    """Find out in a moment what ``ray.init`` would try for 20 to 40 seconds, without saying why it failed.

    Raises:
        ClusterError: nothing answers at ``address``.
    """
    if "://" in address:
        raise _unreachable(address, f"a search is driven from a machine of the cluster; {_ADDRESS}")
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()):
        return  # `auto`, which Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, f"{error.strerror or error}; {_ADDRESS}") from error


def _check_lets_us_in(address: str) -> None:
    """Find out in a moment whether the cluster takes the token of this process, and this user.

    Raises:
        ClusterError: it does not.
    """
    from ray.exceptions import RayError

    named = ray_private.running_here() if address == "auto" else address
    if named is None:
        return  # ``ray.init`` says so
    try:
        with _silent_stderr():
            ray_private.connect(named)
            sockets = ray_private.raylet_sockets(named)
    except RayError as error:
        raise _unreachable(address, _why_not(error)) from error
    if owner := others_user(sockets):
        raise _unreachable(address, owner)


def _unreachable(address: str | None, why: str) -> ClusterError:
    where = f"the Ray cluster at {address}" if address else "Ray on this machine"
    return ClusterError(f"--address: {where} cannot be {'reached' if address else 'started'}: {why}")


def _why_not(error: Exception) -> str:
    """Ray's paragraphs as one line with its remedy."""
    from ray.exceptions import AuthenticationError

    if isinstance(error, AuthenticationError):
        return auth.what_is_wrong()
    message = one_line(error)
    if ray_private.is_other_version(message):
        return f"{message}; install the same versions on all machines"
    return message


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Nothing is printed to stderr in the block, not by Ray's C++ part either, which does not use ``sys.stderr``."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
