"""Finding the checkpoints of a search that goes on after its home or its storage has been moved."""

from collections.abc import Mapping

from eig_tune.cluster.storage import Storage
from eig_tune.errors import StorageError
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.trial import Trial


def find_checkpoints(event_log: EventLog, storage: Storage) -> None:
    """Write to the event log where checkpoints lie now that were written to another storage.

    They are looked for in the same place below ``storage``; those that are not there keep their location.

    Args:
        event_log: that of the search.
        storage: where checkpoints of the search are written from now on.

    Raises:
        StorageError: of the checkpoints that trials go on from none was found, or the storage does not answer.
    """
    moved = {t.number: f"{storage.uri}/{t.path_in_storage}" for t in event_log.trials.values() if t.path_in_storage}
    elsewhere = {n: here for n, here in moved.items() if here != event_log.trials[n].checkpoint}
    present = storage.present(list(elsewhere.values()))
    for number, here in elsewhere.items():
        if here in present:
            event_log.checkpoint(number, here, event_log.trials[number].checkpoint_step)
    require_checkpoints(event_log.trials, storage)


def require_checkpoints(trials: Mapping[int, Trial], storage: Storage) -> None:
    """Check that at least one of the checkpoints that trials go on from is there, if there are such trials.

    Raises:
        StorageError: none is, so that the storage itself must be missing; or the storage does not answer.
    """
    needed = [trial.checkpoint for trial in trials.values() if trial.checkpoint is not None and not trial.ended]
    if needed and not any(storage.present([location]) for location in needed):
        raise StorageError(
            f"none of the {len(needed)} checkpoints from which trials go on is there, such as {needed[0]}: mount what "
            "is missing, or name by --storage where it lies now"
        )
