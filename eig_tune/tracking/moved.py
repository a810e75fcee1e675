"""A home that was moved or copied as a whole: its MLflow database has the absolute paths of its artifacts in it."""

import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from eig_tune.errors import TrackingError

_ARTIFACTS = "artifacts"
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_PATIENCE_SECONDS = 30.0


def follow(database: Path) -> None:
    """Let the paths in a home's MLflow database follow the artifacts that have come along with it.

    Otherwise a moved home would have no models, and the search of a copied one would write into the original.

    Raises:
        TrackingError: they have to, but the file cannot be written.
    """
    with suppress(sqlite3.Error):  # what is wrong with the file MLflow says
        for old in _earlier_homes(database):
            _rewrite(database, *(f"{home.as_uri()}/{_ARTIFACTS}/" for home in (old, database.parent)))


def _earlier_homes(database: Path) -> list[Path]:
    with closing(_open(database, "ro")) as opened:
        rows = opened.execute("SELECT artifact_location FROM experiments").fetchall()
    folders: dict[Path, list[str]] = {}
    for (location,) in rows:
        address = urlsplit(str(location))
        home, artifacts, name = unquote(address.path).rpartition(f"/{_ARTIFACTS}/")
        if address.scheme == "file" and artifacts and home:
            folders.setdefault(Path(home), []).append(name)
    return [home for home, names in folders.items() if _was_here(database, home, names)]


def _was_here(database: Path, old: Path, names: Collection[str]) -> bool:
    """Whether ``old`` is where the database's home was before, by what lies where."""
    here = database.parent
    if old == here or not any(_identity(here / _ARTIFACTS / name) for name in names):
        return False
    if not any(_identity(old / _ARTIFACTS / name) for name in names):
        return True
    return _identity(old / database.name) not in (None, _identity(database))  # if it is there, this is a copy of it


def _identity(path: Path) -> tuple[int, int] | None:
    """By which a file is known under any name; None where there is none, or none that we may see."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _rewrite(database: Path, before: str, now: str) -> None:
    try:
        with closing(_open(database, "rw")) as opened, opened:
            for table, column in _PATHS:
                opened.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    (now, len(before) + 1, len(before), before),
                )
    except sqlite3.Error as error:
        raise TrackingError(
            f"{database} was moved with its artifacts, and the paths in it have to follow once: {error}"
        ) from error


def _open(database: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?mode={mode}", timeout=_PATIENCE_SECONDS, uri=True)
