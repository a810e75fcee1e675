"""What MLflow has made twice.

MLflow's client repeats a request that is not answered in time, also one that makes something; the server makes it
every time. What is made here is known by a tag of its own, so that one is kept and the others are deleted.
"""

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from eig_tune.tracking.own_runs import SEARCH_TAG
from eig_tune.tracking.store import KEY_TAG

_NEVER_REPEATED_SECONDS = 0.5  # MLflow's client waits longer than that before it asks again


def fullest(runs: Iterable[Any]) -> Any:
    """Of several runs that were made as one, that of which the most is known; else the oldest."""
    return min(runs, key=lambda run: (-_fullness(run), run.info.start_time, run.info.run_id))


def _fullness(run: Any) -> int:
    return len(run.data.tags) + len(run.data.params) + len(run.data.metrics)


def delete_double_runs(client: Any, runs: Iterable[Any], kept: Collection[str] = ()) -> list[Any]:
    """Delete all but one of the runs of a search that have the same key; that is, all but one parent run, too.

    Args:
        kept: ids of runs that are in use.

    Returns:
        The runs that are left, one of each key.
    """
    by_key: dict[str | None, list[Any]] = {}
    for run in runs:
        by_key.setdefault(run.data.tags.get(KEY_TAG), []).append(run)
    left = []
    for same in by_key.values():
        left.append(fullest([run for run in same if run.info.run_id in kept] or same))
        for run in same:
            if run is not left[-1]:
                delete_run(client, run.info.run_id)
    return left


def delete_run(client: Any, run_id: str) -> None:
    """Delete a run that is another's double."""
    client.delete_tag(run_id, SEARCH_TAG)  # so that no resume restores it
    client.set_terminated(run_id, status="KILLED")
    client.delete_run(run_id)


def make_one(
    make: Callable[[], Any], found: Callable[[], list[Any]], delete: Callable[[Any], object], again: bool = False
) -> Any:
    """Make a thing once, however often MLflow's client has to ask for it; also if it gives up waiting.

    Args:
        make: makes it.
        found: finds all that ``make`` has made, and nothing else; the first is kept.
        delete: deletes one of them.
        again: it was tried before, and may have been made.

    Raises:
        MlflowException: nothing was made.
    """
    from mlflow.exceptions import MlflowException

    started = time.monotonic()
    if not (again and found()):
        try:
            made = make()
        except MlflowException:
            if not found():
                raise
        else:
            if time.monotonic() - started < _NEVER_REPEATED_SECONDS:
                return made
    kept, *doubles = found()
    for double in doubles:
        delete(double)
    return kept
