"""Where Ray has the Unix sockets of a node: how long their path may be, and who may use them."""

import logging
import os
import pwd
import sys
from collections.abc import Iterable
from pathlib import Path

from eig_tune.errors import ClusterError

logger = logging.getLogger(__name__)

_LONGEST = 103 if sys.platform == "darwin" else 107  # bytes of the path of a Unix socket
# What Ray puts below its folder, at its longest.
_BELOW = "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_SHORT = "/tmp"


def temporary_folder() -> str | None:
    """The folder for the files of a Ray of this machine; None is where Ray itself puts them.

    Ray takes RAY_TMPDIR, else TMPDIR. A TMPDIR that is too long for sockets, as batch systems have it, is not used.

    Raises:
        ClusterError: RAY_TMPDIR is too long.
    """
    most = _LONGEST - len(_BELOW)
    if named := os.environ.get("RAY_TMPDIR"):
        if len(os.fsencode(named)) > most:
            what = f"{named!r} has {len(os.fsencode(named))} bytes, and sockets below it may have {_LONGEST} in all"
            raise ClusterError(f"RAY_TMPDIR: {what}; name a folder of at most {most} bytes")
        return None
    if len(os.fsencode(os.environ.get("TMPDIR", ""))) <= most:
        return None
    logger.info(
        "TMPDIR is too long for Ray's sockets; Ray's files lie in %s/ray (RAY_TMPDIR names another folder)", _SHORT
    )
    return f"{_SHORT}/ray"


def others_user(sockets: Iterable[Path]) -> str:
    """Why this process cannot use the Ray of this machine, if that is another user's; otherwise nothing.

    Args:
        sockets: of all nodes; those of other machines are not found here.
    """
    here = [socket for socket in sockets if not _is_elsewhere(socket)]
    if not here or any(os.access(socket, os.W_OK) for socket in here):
        return ""
    return (
        f"its node on this machine belongs to {_owner(here[0])}, and user {_name(os.geteuid())} may not use it; "
        "run the search as the user who has started Ray, or start a Ray of your own"
    )


def _is_elsewhere(socket: Path) -> bool:
    try:
        socket.stat()
    except PermissionError:
        return False
    except OSError:
        return True
    return False


def _owner(socket: Path) -> str:
    """Whose the socket, or the closest folder above it that may be looked at, is."""
    for path in (socket, *socket.parents):
        try:
            return f"user {_name(path.stat().st_uid)}"
        except OSError:
            continue
    return "another user"


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
