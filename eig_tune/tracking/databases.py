"""Databases as MLflow stores: a sqlite file is made whole or not at all, a server answers soon or fails."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eig_tune.tracking.address import sqlite_uri

_CONNECT_SECONDS = 10
_LOCK = 191001112  # any number that no other program locks


def make_sqlite(file: Path, artifacts: Path) -> None:
    """Make the sqlite file of a store, whole or not at all; nothing if another process was faster.

    MLflow makes the tables one by one, and fails if a second process does so at the same time.

    Args:
        file: the sqlite file.
        artifacts: where artifacts of runs lie whose experiment has no location of its own.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as folder:
        made = Path(folder, file.name)
        SqlAlchemyStore(sqlite_uri(made), artifacts.as_uri()).engine.dispose()
        _put(made, file)


@contextmanager
def connected(uri: str) -> Iterator[None]:
    """Hold a connection to a database server, which fails at once if it does not answer; MLflow would try for 100 s.

    A PostgreSQL database is locked in the meantime, because MLflow may be about to make its tables there.
    """
    from sqlalchemy import NullPool, create_engine, text

    patience = "timeout" if uri.startswith("mssql") else "connect_timeout"
    with create_engine(uri, poolclass=NullPool, connect_args={patience: _CONNECT_SECONDS}).connect() as connection:
        if uri.startswith("postgresql"):
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        yield


def _put(made: Path, file: Path) -> None:
    """Give a complete file its name, unless there is one of that name."""
    try:
        os.link(made, file)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        if not file.exists():
            made.replace(file)
