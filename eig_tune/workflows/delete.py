"""Deleting a search: what it has in the home, its checkpoints, and its part in MLflow.

The event log goes last, so that a deletion that was cut short can be repeated. What a home shares among its searches
(images that were read, evaluation classifiers) stays.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from eig_tune.cluster.storage import Storage
from eig_tune.cluster.storage_address import named_storage
from eig_tune.errors import ResultError, StorageError
from eig_tune.home import Home, size_of
from eig_tune.hpo.lock import Lock
from eig_tune.tracking import local_uri
from eig_tune.tracking.removal import Remains, delete_remains, find_remains
from eig_tune.workflows.identity import noted_header, own_searches
from eig_tune.workflows.overview import Overview, look_at


@dataclass(frozen=True)
class Deletion:
    """What the deletion of a search will delete.

    Attributes:
        search: the search.
        storage: where its checkpoints lie.
        checkpoints: their bytes; None where the storage does not answer.
        remains: what MLflow has of it; None if that is to stay as it is.
        original: the home that this one is a copy of; what both share stays as it is. None if it is no copy.
    """

    search: Overview
    storage: Storage
    checkpoints: int | None
    remains: Remains | None
    original: Path | None

    @property
    def kept(self) -> int:
        """Bytes of event log, study and reports."""
        return size_of(self.search.home.study(self.search.name))


def plan_deletion(home: Home, name: str, tracking_uri: str, *, with_mlflow: bool = True) -> Deletion:
    """What is there of a search; nothing is deleted.

    Raises:
        ResultError: there is no such search, or it is running.
        TrackingError: the store cannot be reached.
    """
    search = look_at(home, name)
    if search.standing == "running":
        raise ResultError(f"{name} is running, in {search.lock.owner}; end it first: eig-tune stop {name}")
    original = _original(search)
    shared = original is not None and tracking_uri != local_uri(home.path)
    search_id = "".join(own_searches(home, name))  # also of an event log that is damaged further on
    remains = find_remains(tracking_uri, search_id) if with_mlflow and not shared else None
    storage = _storage(search, original)
    try:
        checkpoints: int | None = storage.size()
    except OSError:
        checkpoints = None
    return Deletion(search, storage, checkpoints, remains, original)


def delete_search(deletion: Deletion, *, versions: bool) -> tuple[int, bool]:
    """Delete a search.

    Args:
        deletion: what is there of it.
        versions: delete registered versions of its models, too; else these, and the runs that they are of, are kept.

    Returns:
        The bytes that were freed on this machine and in the storage, and whether MLflow has forgotten its runs; if not,
        they lie in the trash of its server.

    Raises:
        ResultError: the search is running by now.
        TrackingError: MLflow refuses; the deletion can be repeated.
        StorageError: something cannot be deleted; the deletion can be repeated.
    """
    search, home = deletion.search, deletion.search.home
    measure, forgotten = partial(size_of, home.study(search.name), *_artifacts(deletion)), True
    before = measure()
    with _locked(home.event_log(search.name)), _readable_errors():
        if deletion.remains is not None:
            forgotten = delete_remains(deletion.remains, versions=versions)
        deletion.storage.clear()
        _remove_if_empty(home.ray / search.name)
        study = home.study(search.name)
        gone = study.with_name(f".deleted-{search.name}-{os.getpid()}")
        study.rename(gone)  # at once: half of a study would be taken for a damaged one
        freed = before - measure() + (deletion.checkpoints or 0)
        shutil.rmtree(gone)
    return freed, forgotten


def _artifacts(deletion: Deletion) -> list[Path]:
    """The folder of its artifacts, if the store is the home's own."""
    own = deletion.remains is not None and deletion.remains.uri == local_uri(deletion.search.home.path)
    return [deletion.search.home.artifacts(deletion.search.name)] if own else []


def _original(search: Overview) -> Path | None:
    """The home of which this one is a copy, if the search is there still."""
    before = Home(Path(str(search.state.header.get("home", search.home.path))))
    log = before.event_log(search.name)
    if before.path == search.home.path or noted_header(before, search.name).get("id") != search.search_id:
        return None
    return None if log.samefile(search.home.event_log(search.name)) else before.path


def _storage(search: Overview, original: Path | None) -> Storage:
    """Where its checkpoints lie: in the home, unless they were written elsewhere and are no other home's."""
    below = [search.name, *own_searches(search.home, search.name)]
    noted, began_here = search.storage, search.state.header.get("home") == str(search.home.path)
    # A place that is not called after the search is none that a search has noted.
    if noted is not None and original is None and began_here and noted.endswith("/".join(["", *below])):
        return named_storage(noted, search.home.ray)
    return Storage(str(search.home.ray)).below(*below)


@contextmanager
def _locked(log: Path) -> Iterator[None]:
    with log.open("ab", buffering=0) as file:
        lock = Lock(file, log)
        try:
            yield
        finally:
            lock.close()


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or "the storage"
        raise StorageError(
            f"{where} cannot be deleted ({error.strerror or error}); mend that and delete again"
        ) from error


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
