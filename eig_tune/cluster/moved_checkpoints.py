"""Where a search's checkpoints lie when it goes on: in a home, or a storage, that may have been moved meanwhile."""

from collections.abc import Mapping

from eig_tune.cluster.storage import Storage
from eig_tune.errors import StorageError
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.trial import Trial


def find_checkpoints(event_log: EventLog, storage: Storage) -> None:
    """Note where the checkpoints lie that were written to another place: in the same place below this storage, if
    they are there.

    Raises:
        StorageError: none of those that trials go on from is anywhere, or that cannot be known.
    """
    moved = {t.number: f"{storage.uri}/{t.inside}" for t in event_log.trials.values() if t.inside}
    elsewhere = {n: here for n, here in moved.items() if here != event_log.trials[n].checkpoint}
    there = storage.there(list(elsewhere.values()))
    for number, here in elsewhere.items():
        if here in there:
            event_log.checkpoint(number, here, event_log.trials[number].checkpoint_step)
    require_checkpoints(event_log.trials, storage)


def require_checkpoints(trials: Mapping[int, Trial], storage: Storage) -> None:
    """See that at least one is there of the checkpoints that trials go on from.

    Raises:
        StorageError: none is, so that the storage itself must be missing; or that cannot be known.
    """
    wanted = [trial.checkpoint for trial in trials.values() if trial.checkpoint is not None and not trial.ended]
    if wanted and not any(storage.there([location]) for location in wanted):
        raise StorageError(
            f"none of the {len(wanted)} checkpoints from which trials go on is there, such as {wanted[0]}: mount what "
            "is missing, or name by --storage where it lies now"
        )
