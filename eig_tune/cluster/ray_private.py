"""All that eig-tune uses of Ray beyond its public interface, which may change with any version.

Seen in every minor version from 2.52 to 2.60, which are those that pyproject.toml allows.
tests/cluster/test_ray_private.py looks for each part in the Ray that is installed, and `make test-oldest` and
`make test-newest` run a search with the two ends.
"""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.tune.experiment import Trial as RayTrial

#: Ray listens to the loopback interface alone. It has no option for that, but it is what Ray does on a Mac, where this
#: variable decides (``ray._private.ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR``).
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

_NO_STORAGE = "Unable to set up cluster storage"
_OTHER_VERSION = "Version mismatch"


def leave_signals_alone() -> None:
    """Keep Ray from answering signals: they are for the command, which ends Ray when it has kept everything.

    Without this, Ray answers SIGTERM itself as soon as it begins to start, first by a handler in Python, then by one
    in C++ that prints its frames; and what a terminal's Ctrl-C or ``timeout`` sends to the command's process group
    ends the processes of trials under a search that is ending gently.

    Replaces ``set_sigterm_handler`` and ``set_kill_on_parent_death_linux`` in ``ray._private.utils``. Ray calls the
    second one in each process that it starts.
    """
    from ray._private import utils

    end_with_parent = utils.set_kill_on_parent_death_linux

    def begin_in_own_group() -> None:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        end_with_parent()

    utils.set_sigterm_handler = lambda handler: None
    utils.set_kill_on_parent_death_linux = begin_in_own_group


def silence_lost_nodes() -> None:
    """Keep Ray from printing the last output of a lost node, a page of C++ frames, to stdout, which is for results.

    Sets ``ray._private.worker._worker_logs_enabled``.
    """
    from ray._private import worker

    worker._worker_logs_enabled = False


def connect(address: str) -> None:
    """Open a connection to the control store of the cluster at ``address`` and close it again.

    ``ray.init`` tries the same for 20 to 40 seconds, and then does not say why it failed.

    Uses ``ray._private.services.canonicalize_bootstrap_address`` and ``ray._raylet.GcsClient``.

    Args:
        address: HOST:PORT, or ``auto``.

    Raises:
        ray.exceptions.RayError: the cluster refuses; an ``AuthenticationError`` when it does so for the token.
    """
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    GcsClient(address=canonicalize_bootstrap_address(address))


def raylet_sockets(address: str) -> list[Path]:
    """The sockets by which a driver on a node of the cluster talks with Ray there, one for each node that there is.

    Uses ``ray._raylet.GcsClient`` and ``get_all_node_info`` of it.

    Args:
        address: HOST:PORT.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    nodes = GcsClient(address=address).get_all_node_info()
    return [Path(node.raylet_socket_name) for node in nodes.values() if node.raylet_socket_name]


def running_here() -> str | None:
    """HOST:PORT of what ``auto`` means, None where no Ray runs on this machine.

    Uses ``ray._private.services.canonicalize_bootstrap_address``.
    """
    from ray._private.services import canonicalize_bootstrap_address

    try:
        address: str | None = canonicalize_bootstrap_address("auto")
    except (ConnectionError, ValueError):
        return None
    return address


def oldest_without_room(tune_controller: Any) -> "RayTrial | None":
    """The trial that has waited longest for a process, among those for which no process is starting.

    Reads ``_tune_controller`` of what Ray hands to a scheduler, and in it ``_trial_to_actor``, in which trials stand in
    the order of their beginning, and ``_actor_manager.pending_actors``.

    Args:
        tune_controller: what ``TrialScheduler.choose_trial_to_run`` is given.
    """
    controller = tune_controller._tune_controller
    without_room = set(controller._actor_manager.pending_actors)
    return next((trial for trial, actor in controller._trial_to_actor.items() if actor in without_room), None)


def is_missing_storage(error: RuntimeError) -> bool:
    """Whether Ray's trainable could not find the file that Ray keeps in the storage (``StorageContext``)."""
    return _NO_STORAGE in str(error)


def is_other_version(message: str) -> bool:
    """Whether Ray's message says that the cluster has another version of Ray or Python."""
    return message.startswith(_OTHER_VERSION)
