"""Which search is meant: the home's own one, the newest of a name, or the one that a person has named by its run."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eig_tune.errors import ResultError, one_line
from eig_tune.tracking.address import masked
from eig_tune.tracking.databases import missing_file
from eig_tune.tracking.own_runs import DELETED, carrying
from eig_tune.tracking.paging import experiments
from eig_tune.tracking.store import KIND_TAG, USER_TAG, Store, open_client, readable_errors

_SEARCHES = f"tags.`{KIND_TAG}` = 'search'"
_RUN_ID = re.compile("[0-9a-f]{32}")
_MOST_NAMED = 10
Pages = Sequence[list[str]]  # ids of experiments, of which a question to MLflow takes a page at once


@dataclass(frozen=True)
class SearchRun:
    """The parent run of a search; ``began`` is seconds since the epoch."""

    run_id: str
    began: float
    by: str

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.began))
        return f"run {self.run_id}, begun {when}" + (f" by {self.by}" if self.by else "")


def search_run(run: Any) -> SearchRun:
    """What a person knows a search's run by."""
    return SearchRun(run.info.run_id, run.info.start_time / 1000, one_line(run.data.tags.get(USER_TAG, "")))


def find_store(uri: str, wanted: str | None, own: Sequence[str] = ()) -> tuple[Store, Any]:
    """A search to be read: the store with its experiment, and its parent run.

    Args:
        wanted: a name, or the id of a parent run; any search when None.
        own: ids of the home's searches of that name, which are taken before any other's, the first one that is there.

    Raises:
        TrackingError: the store cannot be reached.
        ResultError: there is no such search.
    """
    if (missing := missing_file(uri)) is not None:
        raise ResultError(f"there is no search here yet: {missing} does not exist")
    with readable_errors(uri):
        client = open_client(uri)
        pages = [{e.experiment_id: e.name for e in page} for page in experiments(client)]
        names = {key: name for page in pages for key, name in page.items()}
        everywhere = [list(page) for page in pages]
        named = [[key for key in page if wanted in (None, names[key])] for page in everywhere]
        run = _first(client, everywhere, own) or _newest(client, named) or _run(client, everywhere, wanted)
        if run is None:
            raise ResultError(_nothing(client, uri, wanted, list(names.values())))
    experiment_id = run.info.experiment_id
    return Store(client, uri, experiment_id, names[experiment_id]), run


def _first(client: Any, pages: Pages, own: Sequence[str]) -> Any | None:
    found = (_newest(client, pages, f"{carrying(search_id)} and {_SEARCHES}") for search_id in own)
    return next((run for run in found if run is not None), None)


def _newest(client: Any, pages: Pages, condition: str = _SEARCHES) -> Any | None:
    found = [
        run
        for ids in pages
        if ids
        for run in client.search_runs(ids, condition, max_results=1, order_by=["start_time DESC"])
    ]
    return max(found, key=lambda run: run.info.start_time, default=None)


def _run(client: Any, pages: Pages, wanted: str | None) -> Any | None:
    """The parent run that a person has named by its id."""
    if wanted is None or not _RUN_ID.fullmatch(wanted):
        return None
    return _newest(client, pages, f"attributes.run_id = '{wanted}' and {_SEARCHES}")


def _nothing(client: Any, uri: str, wanted: str | None, names: list[str]) -> str:
    deleted = None if wanted is None else client.get_experiment_by_name(wanted)
    if deleted is not None and deleted.lifecycle_stage == DELETED:
        return (
            f"the MLflow experiment {wanted!r} was deleted; `eig-tune search --resume` brings it back, or "
            f"mlflow experiments restore --experiment-id {deleted.experiment_id}"
        )
    if wanted in names:
        return f"the MLflow experiment {wanted!r} holds no search of eig-tune"
    there = [one_line(name) for name in names if name != "Default"]
    more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
    told = ", ".join(there[:_MOST_NAMED]) or "none"
    return f"no search {'' if wanted is None else repr(wanted) + ' '}in {masked(uri)}; there are: {told}{more}"
