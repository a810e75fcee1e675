"""What MLflow has made twice.

MLflow's client repeats a request that is not answered in time, also one that makes something; the server makes it
every time. What eig-tune makes has a tag by which it is known, so that one is kept and the others are deleted.
"""

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from eig_tune.tracking.tags import KEY_TAG, SEARCH_TAG

_NEVER_REPEATED_SECONDS = 0.5  # MLflow's client waits longer than that before it repeats a request


def delete_duplicate_runs(client: Any, runs: Iterable[Any], in_use: Collection[str] = ()) -> list[Any]:
    """Delete all but one of the runs of a search that have the same key, and all but one parent run.

    The run in use is kept, else the one with the most data, else the oldest.

    Args:
        client: MLflow's client.
        runs: runs of one search.
        in_use: ids of runs that are in use.

    Returns:
        The runs that are left, one of each key.
    """
    by_key: dict[str | None, list[Any]] = {}
    for run in runs:
        by_key.setdefault(run.data.tags.get(KEY_TAG), []).append(run)
    left = []
    for same in by_key.values():
        left.append(_fullest([run for run in same if run.info.run_id in in_use] or same))
        for run in same:
            if run is not left[-1]:
                delete_run(client, run.info.run_id)
    return left


def _fullest(runs: Iterable[Any]) -> Any:
    return min(runs, key=lambda run: (-_size(run), run.info.start_time, run.info.run_id))


def _size(run: Any) -> int:
    return len(run.data.tags) + len(run.data.params) + len(run.data.metrics)


def delete_run(client: Any, run_id: str) -> None:
    """Delete a duplicate of a run, such that no resume restores it."""
    client.delete_tag(run_id, SEARCH_TAG)
    client.set_terminated(run_id, status="KILLED")
    client.delete_run(run_id)


def make_once(
    make: Callable[[], Any], find: Callable[[], list[Any]], delete: Callable[[Any], object], repeated: bool = False
) -> Any:
    """Make a thing once, however often MLflow's client has to repeat the request, also if it gives up waiting.

    Args:
        make: makes it.
        find: finds all that ``make`` has made, and nothing else; the first is kept.
        delete: deletes one of them.
        repeated: it was tried before, and may have been made.

    Returns:
        The one that is kept.

    Raises:
        MlflowException: nothing was made.
    """
    from mlflow.exceptions import MlflowException

    started = time.monotonic()
    if not (repeated and find()):
        try:
            made = make()
        except MlflowException:
            if not find():
                raise
        else:
            if time.monotonic() - started < _NEVER_REPEATED_SECONDS:
                return made
    kept, *duplicates = find()
    for duplicate in duplicates:
        delete(duplicate)
    return kept
