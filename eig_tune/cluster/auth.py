"""Ray's token: whether this machine has one, whether a cluster asks for one, and what is wrong with it.

Ray has tokens since 2.52 and reads where it finds one, and whether to use it, as soon as it is imported.
"""

import os
import secrets
import subprocess
import sys
from pathlib import Path

_MODE = "RAY_AUTH_MODE"
_TOKEN = "RAY_AUTH_TOKEN"
_TOKEN_FILE = "RAY_AUTH_TOKEN_PATH"
_TOKEN_PLACES = f"{_TOKEN}, in the file that {_TOKEN_FILE} names, or in ~/.ray/auth_token"
_CONNECT = "import sys; from eig_tune.cluster.ray_private import connect; connect(sys.argv[1])"


def settle_token(address: str | None) -> None:
    """Set in the environment what Ray needs to start here, or to join the cluster at ``address``.

    A new Ray of this machine gets a token of its own, as Ray would otherwise write one into HOME. A cluster gets the
    token of this machine only if it asks for one: a driver that uses a token refuses a cluster that has none.
    """
    if not has_token():
        if not address:
            os.environ[_TOKEN] = secrets.token_hex()
    elif address and not os.environ.get(_MODE) and _asks_for_token(address):
        os.environ[_MODE] = "token"


def has_token() -> bool:
    """Whether Ray finds a token on this machine."""
    named = os.environ.get(_TOKEN) or os.environ.get(_TOKEN_FILE)
    return bool(named) or Path("~/.ray/auth_token").expanduser().is_file()


def tokens_are_off() -> bool:
    """Whether a person has switched tokens off in the environment."""
    return os.environ.get(_MODE) == "disabled"


def what_is_wrong() -> str:
    """Why a cluster has refused the token of this process, or its lack of one, and what to do about it."""
    if (os.environ.get(_MODE) or "token") != "token":
        return f"it asks for a token, and {_MODE} forbids to send one; unset it"
    known = "this is not its token" if has_token() else "it asks for a token, and there is none here"
    return f"{known}; the cluster's own belongs in {_TOKEN_PLACES}"


def _asks_for_token(address: str) -> bool:
    """Whether the cluster refuses a driver without a token; asked by another process, which uses none."""
    asked = subprocess.run(
        [sys.executable, "-c", _CONNECT, address],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, _MODE: "disabled"},
    )
    return "AuthenticationError" in asked.stderr
