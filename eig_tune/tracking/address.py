"""The address of an MLflow store (MLflow's tracking URI): checked, completed, and shown without its password."""

import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from eig_tune.errors import TrackingError
from eig_tune.paths import absolute

LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)"
_HIDDEN = "***"
_IN_A_QUERY = re.compile(r"(?<=[?&])([^=&]*passw[^=&]*)=([^&]*)", re.IGNORECASE)

_SQLITE = "sqlite:///"
# The same to SQLAlchemy, but with the former MLflow makes a folder of the quoted name, percent signs included.
_QUOTED = "sqlite+pysqlite:///"

# By database: the drivers that SQLAlchemy and MLflow work with, each with its module and the package to install for it.
# An address that names no driver gets the first that is installed.
_DRIVERS = {
    "postgresql": {"psycopg": ("psycopg", "psycopg[binary]"), "psycopg2": ("psycopg2", "psycopg2-binary")},
    "mysql": {"pymysql": ("pymysql", "pymysql"), "mysqldb": ("MySQLdb", "mysqlclient")},
    "mssql": {"pyodbc": ("pyodbc", "pyodbc")},
}


def check_address(uri: str, typed: Iterable[str]) -> None:
    """Refuse a password where others can read it.

    Args:
        uri: the store's address.
        typed: the words of the command line, which every user of the machine can list, and which Ray stores.

    Raises:
        TrackingError: a server's address has a login in it, or a database's address with a password was typed.
    """
    if uri.startswith(("http://", "https://")):
        if "@" in uri:
            raise TrackingError(f"--tracking-uri: write {_without_login(uri)} and put the login into {LOGIN}")
    elif _secrets(uri) and any(uri in word for word in typed):
        raise TrackingError(
            "--tracking-uri: every user of this machine can read a command line; put "
            f"{masked(uri)} with its password into the environment variable MLFLOW_TRACKING_URI instead"
        )


def masked(uri: str) -> str:
    """The address as it may be shown: without its password."""
    scheme, login, rest = _parts(uri)
    user, colon, _ = login.partition(":")
    shown = f"{scheme}{user}:{_HIDDEN}@{rest}" if colon else uri
    return _IN_A_QUERY.sub(rf"\1={_HIDDEN}", shown)


def without_secrets(text: str, uri: str) -> str:
    """A text that may quote the address, with every password in it replaced by ``***``."""
    text = text.replace(uri, masked(uri))
    for secret in _secrets(uri):
        text = text.replace(secret, _HIDDEN)
    return text


def sqlite_uri(file: Path) -> str:
    """The address of a sqlite file, whatever characters its path has."""
    path = str(file)
    quoted = path.replace("%", "%25").replace("?", "%3F")
    return f"{_SQLITE if quoted == path else _QUOTED}{quoted}"


def local_uri(home: Path) -> str:
    """The address of the store that a home has by default: one sqlite file."""
    return sqlite_uri((home / "mlflow.db").resolve())


def is_local(uri: str) -> bool:
    """Whether the store is a file on this machine."""
    return uri.startswith((_SQLITE, _QUOTED))


def is_database(uri: str) -> bool:
    """Whether the store is a database server, which MLflow's client opens itself."""
    return _scheme_of(uri)[0] in _DRIVERS


def missing_file(uri: str) -> Path | None:
    """The file of a local store that does not exist yet; None for a store that exists or is a server."""
    file = file_of(uri) if is_local(uri) else None
    return None if file is None or file.is_file() else file


def usable_address(given: str) -> str:
    """The address of a store in the form that MLflow needs: a sqlite file by its absolute path, a database with its
    driver.

    Raises:
        TrackingError: no sqlite file has this address, or the database's driver is not installed.
    """
    if given.startswith("sqlite:") or given.startswith("sqlite+"):
        return sqlite_uri(_checked_file(given))
    return _with_driver(given)


def file_of(uri: str) -> Path:
    """The file of a local store."""
    return Path(unquote(uri.partition(":///")[2]))


def _without_login(uri: str) -> str:
    scheme, _, rest = _parts(uri)
    return scheme + rest


def _secrets(uri: str) -> list[str]:
    """Every password in the address, as it is written and unquoted, longest first."""
    _, login, _ = _parts(uri)
    written = [login.partition(":")[2], *(match[2] for match in _IN_A_QUERY.finditer(uri))]
    return sorted({form for secret in written if secret for form in (secret, unquote(secret))}, key=len, reverse=True)


def _parts(uri: str) -> tuple[str, str, str]:
    """Scheme with its ``://``, the login, and what follows its ``@``.

    A password may have ``/`` and ``@`` in it, so the login ends at the last ``@``.
    """
    scheme, slashes, rest = uri.partition("://")
    login, _, place = rest.rpartition("@")
    return scheme + slashes, login, place


def _checked_file(given: str) -> Path:
    path = given.partition("://")[2].removeprefix("/")
    if not is_local(given) or path in ("", ":memory:") or path.startswith("file:"):
        raise TrackingError(
            f"--tracking-uri: got {given!r}; write sqlite:///FILE with the path of a file on this machine"
        )
    if "?" in path:
        raise TrackingError(f"--tracking-uri: got {given!r}; a ? in the name of a file is written %3F, and a % as %25")
    file, spelled = (absolute(Path(name), "--tracking-uri") for name in (unquote(path), path))
    if file != spelled and spelled.parent.is_dir() and not file.parent.is_dir():
        quoted = sqlite_uri(spelled).removeprefix(_QUOTED)
        raise TrackingError(f"--tracking-uri: {given!r} is the file {file}; for {spelled} write {_SQLITE}{quoted}")
    if file.is_dir():
        raise TrackingError(f"--tracking-uri: {file} is a folder; write sqlite:///FILE with the path of a file")
    return file


def _with_driver(given: str) -> str:
    database, driver, rest = _scheme_of(given)
    drivers = _DRIVERS.get(database, {})
    if not drivers or (driver and driver not in drivers):
        return given
    candidates = [driver] if driver else list(drivers)
    for name in candidates:
        if find_spec(drivers[name][0]) is not None:
            return f"{database}+{name}://{rest}"
    packages = " or ".join(drivers[name][1] for name in candidates)
    raise TrackingError(f"--tracking-uri: {masked(given)} needs a driver that is not installed: pip install {packages}")


def _scheme_of(uri: str) -> tuple[str, str, str]:
    """Database, its driver if one is named, and what follows ``://``; some hosts write ``postgres``."""
    scheme, _, rest = uri.partition("://")
    database, _, driver = scheme.partition("+")
    return "postgresql" if database == "postgres" else database, driver, rest
