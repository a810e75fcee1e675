"""The absolute paths of artifacts in the MLflow database of a home that was moved or copied."""

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


def update_artifact_paths(database: Path) -> None:
    """Update the paths in a home's MLflow database if it was moved or copied together with its artifacts.

    Otherwise a moved home would have no models, and the search of a copied one would write into the original.

    Raises:
        TrackingError: they must be updated, but the file cannot be written.
    """
    with suppress(sqlite3.Error):  # MLflow reports what is wrong with the file
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
    """Whether the database's home was at ``old`` before, by which of both places has the files."""
    here = database.parent
    if old == here or not any(_identity(here / _ARTIFACTS / name) for name in names):
        return False
    if not any(_identity(old / _ARTIFACTS / name) for name in names):
        return True
    return _identity(old / database.name) not in (
        None,
        _identity(database),
    )  # else a copy


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file, the same under any name; None where there is none, or none that may be read."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


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
            f"{database} was moved with its artifacts, and the paths in it must be updated once: {error}"
        ) from error


def _open(database: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?mode={mode}", timeout=_PATIENCE_SECONDS, uri=True)
