"""Databases as MLflow stores: their addresses as SQLAlchemy reads them, and a sqlite file that appears whole."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from eig_tune.errors import TrackingError
from eig_tune.paths import absolute
from eig_tune.tracking.address import masked

_SQLITE = "sqlite:///"
# Means the same, but MLflow makes the folder that stands in the former, percent signs included.
_QUOTED = "sqlite+pysqlite:///"
_CONNECT_SECONDS = 10
_LOCK = 191001112  # known to nobody else

# By database: the drivers that SQLAlchemy and MLflow work with, each with its module and what to install for it. The
# first that is there is taken for an address that names none.
_DRIVERS = {
    "postgresql": {"psycopg": ("psycopg", "psycopg[binary]"), "psycopg2": ("psycopg2", "psycopg2-binary")},
    "mysql": {"pymysql": ("pymysql", "pymysql"), "mysqldb": ("MySQLdb", "mysqlclient")},
    "mssql": {"pyodbc": ("pyodbc", "pyodbc")},
}


def sqlite_uri(file: Path) -> str:
    """The address of a sqlite file, whatever signs its path has."""
    path = str(file)
    quoted = path.replace("%", "%25").replace("?", "%3F")
    return f"{_SQLITE if quoted == path else _QUOTED}{quoted}"


def local_uri(home: Path) -> str:
    """The store of a home that names no other: one sqlite file."""
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
    """The address of a store as MLflow is to have it: a sqlite file by its absolute path, a database with its driver.

    Raises:
        TrackingError: no sqlite file has this address, or the database's driver is not installed.
    """
    if given.startswith("sqlite:") or given.startswith("sqlite+"):
        return sqlite_uri(_checked_file(given))
    return _with_driver(given)


def make_sqlite(file: Path, artifacts: Path) -> None:
    """Make the sqlite file of a store, whole or not at all; nothing if somebody else was faster.

    MLflow makes the tables one by one, and fails if a second process does so at the same time.

    Args:
        artifacts: where artifacts of runs lie whose experiment says nothing about it.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as folder:
        made = Path(folder, file.name)
        SqlAlchemyStore(sqlite_uri(made), artifacts.as_uri()).engine.dispose()
        _put(made, file)


@contextmanager
def connected(uri: str) -> Iterator[None]:
    """Fail at once where a database server does not answer, for which MLflow would try for 100 s.

    A PostgreSQL database is ours alone in the meantime: MLflow may be about to make its tables there.
    """
    from sqlalchemy import NullPool, create_engine, text

    patience = "timeout" if uri.startswith("mssql") else "connect_timeout"
    with create_engine(uri, poolclass=NullPool, connect_args={patience: _CONNECT_SECONDS}).connect() as connection:
        if uri.startswith("postgresql"):
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        yield


def _put(made: Path, file: Path) -> None:
    """Give a whole file its name, unless there is one of that name."""
    try:
        os.link(made, file)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        if not file.exists():
            made.replace(file)


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
        meant = sqlite_uri(spelled).removeprefix(_QUOTED)
        raise TrackingError(f"--tracking-uri: {given!r} is the file {file}; for {spelled} write {_SQLITE}{meant}")
    if file.is_dir():
        raise TrackingError(f"--tracking-uri: {file} is a folder; write sqlite:///FILE with the path of a file")
    return file


def file_of(uri: str) -> Path:
    """The file of a local store."""
    return Path(unquote(uri.partition(":///")[2]))


def _with_driver(given: str) -> str:
    database, driver, rest = _scheme_of(given)
    drivers = _DRIVERS.get(database, {})
    if not drivers or (driver and driver not in drivers):
        return given
    wanted = [driver] if driver else list(drivers)
    for name in wanted:
        if find_spec(drivers[name][0]) is not None:
            return f"{database}+{name}://{rest}"
    packages = " or ".join(drivers[name][1] for name in wanted)
    raise TrackingError(f"--tracking-uri: {masked(given)} needs a driver that is not installed: pip install {packages}")


def _scheme_of(uri: str) -> tuple[str, str, str]:
    """Database, driver if it is named, and what stands behind ``://``; ``postgres`` is what some hosts write."""
    scheme, _, rest = uri.partition("://")
    database, _, driver = scheme.partition("+")
    return "postgresql" if database == "postgres" else database, driver, rest
