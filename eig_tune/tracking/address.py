"""The address of an MLflow store, which may have a password in it that nobody else is to read."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from eig_tune.errors import TrackingError

LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)"
_HIDDEN = "***"
_IN_A_QUERY = re.compile(r"(?<=[?&])([^=&]*passw[^=&]*)=([^&]*)", re.IGNORECASE)


def check_address(uri: str, typed: Iterable[str]) -> None:
    """Refuse a password where others can read it.

    Args:
        typed: the words of the command line; everybody on the machine can list them, and Ray keeps them.

    Raises:
        TrackingError: a server's address has a login in it, or a database's address with a password was typed.
    """
    if uri.startswith(("http://", "https://")):
        if "@" in uri:
            raise TrackingError(f"--tracking-uri: write {_without_login(uri)} and put the login into {LOGIN}")
    elif _secrets(uri) and any(uri in word for word in typed):
        raise TrackingError(
            "--tracking-uri: everybody on this machine can read a command line; put "
            f"{masked(uri)} with its password into the environment variable MLFLOW_TRACKING_URI instead"
        )


def masked(uri: str) -> str:
    """The address as it may be shown: without its password."""
    scheme, login, rest = _parts(uri)
    user, colon, _ = login.partition(":")
    shown = f"{scheme}{user}:{_HIDDEN}@{rest}" if colon else uri
    return _IN_A_QUERY.sub(rf"\1={_HIDDEN}", shown)


def without_secrets(text: str, uri: str) -> str:
    """A text in which the address, or what was made of it, may be quoted."""
    text = text.replace(uri, masked(uri))
    for secret in _secrets(uri):
        text = text.replace(secret, _HIDDEN)
    return text


def _without_login(uri: str) -> str:
    scheme, _, rest = _parts(uri)
    return scheme + rest


def _secrets(uri: str) -> list[str]:
    """Every password in the address, as it is written and as it is meant, longest first."""
    _, login, _ = _parts(uri)
    written = [login.partition(":")[2], *(match[2] for match in _IN_A_QUERY.finditer(uri))]
    return sorted({form for secret in written if secret for form in (secret, unquote(secret))}, key=len, reverse=True)


def _parts(uri: str) -> tuple[str, str, str]:
    """Scheme with its ``://``, the login, and the place behind its ``@``.

    A password may have ``/`` and ``@`` in it, so the login ends at the last ``@``.
    """
    scheme, slashes, rest = uri.partition("://")
    login, _, place = rest.rpartition("@")
    return scheme + slashes, login, place
