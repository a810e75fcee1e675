"""Deleting checkpoints for which there are newer ones, once a power failure can no longer destroy the newer ones."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

from eig_tune.cluster.storage import Storage


class ReplacedCheckpoints:
    """Deletes in the background, because a bucket takes a tenth of a second to delete and a disk as long to sync.

    Those that were added in the meantime are deleted together, after one sync.

    Args:
        storage: where checkpoints lie.
        sync: brings to the disk which checkpoint of each trial is the newest; called before older ones are deleted.
    """

    def __init__(self, storage: Storage, sync: Callable[[], None]) -> None:
        self._storage = storage
        self._sync = sync
        self._older: dict[str, list[str]] = {}  # by the checkpoint that has replaced them
        self._changing = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1)

    def add(self, older: str, newer: str) -> None:
        """Have ``older`` deleted, which the event log has replaced by ``newer``."""
        with self._changing:
            self._older[newer] = [*self._older.pop(older, []), older]
        self._thread.submit(self._delete)

    def close(self) -> None:
        """Wait until all is deleted that was added."""
        self._thread.shutdown()

    def _delete(self) -> None:
        with self._changing:
            waiting, self._older = self._older, {}
        if not waiting:
            return
        for newer in waiting:
            with suppress(FileNotFoundError):  # its trial has ended meanwhile, and everything of it is in MLflow
                self._storage.sync(newer)
        self._sync()
        for older in waiting.values():
            for location in older:
                with suppress(OSError):  # `clean_up` deletes it at the end of the search
                    self._storage.delete(location)
