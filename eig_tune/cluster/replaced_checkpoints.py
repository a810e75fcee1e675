"""Deleting a checkpoint for which there is a newer one, once a power failure cannot take that one away."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

from eig_tune.cluster.storage import Storage
from eig_tune.hpo.state import SearchState


class ReplacedCheckpoints:
    """Deletes in the background: a store far away takes a tenth of a second for it, and a disk to say that something
    is on it. All that has come meanwhile is done together.

    Args:
        storage: where checkpoints lie.
        state: what says which one is a trial's newest.
    """

    def __init__(self, storage: Storage, state: SearchState) -> None:
        self._storage = storage
        self._state = state
        self._older: dict[str, list[str]] = {}  # by the checkpoint that has replaced them
        self._changing = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1)

    def add(self, older: str, newer: str) -> None:
        """``newer`` stands in the event log in the place of ``older``."""
        with self._changing:
            self._older[newer] = [*self._older.pop(older, []), older]
        self._thread.submit(self._delete)

    def close(self) -> None:
        """Delete what is waiting."""
        self._thread.shutdown()

    def _delete(self) -> None:
        with self._changing:
            waiting, self._older = self._older, {}
        if not waiting:
            return
        for newer in waiting:
            with suppress(FileNotFoundError):  # its trial has ended meanwhile, and MLflow has everything of it
                self._storage.sync(newer)
        self._state.sync()
        for older in waiting.values():
            for location in older:
                with suppress(OSError):  # the next `tidy` tries again
                    self._storage.delete(location)
