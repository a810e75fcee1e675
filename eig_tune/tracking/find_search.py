"""Finding the parent run of a search: the home's own, the newest of a name, or the run of an id."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eig_tune.errors import ResultError, one_line
from eig_tune.tracking.address import masked, missing_file
from eig_tune.tracking.client import experiments, open_client, readable_errors
from eig_tune.tracking.store import DELETED, Store
from eig_tune.tracking.tags import KIND_TAG, USER_TAG, runs_of_search

SEARCHES, ANY_KIND = ("search",), ("search", "comparison", "suggestion")
_RUN_ID = re.compile("[0-9a-f]{32}")
_MOST_NAMED = 10
Pages = Sequence[list[str]]  # ids of experiments; MLflow searches one page of them per request


@dataclass(frozen=True)
class SearchRun:
    """The parent run of a search; ``began`` is seconds since the epoch, ``by`` the user."""

    run_id: str
    began: float
    by: str

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.began))
        return f"run {self.run_id}, begun {when}" + (f" by {self.by}" if self.by else "")


def search_run(run: Any) -> SearchRun:
    """MLflow's run as a :class:`SearchRun`."""
    return SearchRun(run.info.run_id, run.info.start_time / 1000, one_line(run.data.tags.get(USER_TAG, "")))


def find_run(uri: str, name: str | None, own: Sequence[str] = (), kinds: Sequence[str] = SEARCHES) -> tuple[Store, Any]:
    """Find the parent run of a search.

    Args:
        uri: the store's address.
        name: of the experiment, or the id of a parent run; the newest search of all when None.
        own: ids of the home's searches of that name; the first of them that is in the store is taken before any other.
        kinds: what counts as a search.

    Returns:
        The store with the search's experiment, and MLflow's run.

    Raises:
        TrackingError: the store cannot be reached.
        ResultError: there is no such search.
    """
    if (missing := missing_file(uri)) is not None:
        raise ResultError(f"there is no search here yet: {missing} does not exist")
    with readable_errors(uri):
        client = open_client(uri)
        pages = [{e.experiment_id: e.name for e in page} for page in experiments(client)]
        names = {key: label for page in pages for key, label in page.items()}
        everywhere = [list(page) for page in pages]
        named = [[key for key in page if name in (None, names[key])] for page in everywhere]
        run = (
            _own(client, everywhere, own, kinds)
            or _newest(client, named, kinds)
            or _by_id(client, everywhere, name, kinds)
        )
        if run is None:
            raise ResultError(_not_found(client, uri, name, list(names.values())))
    experiment_id = run.info.experiment_id
    return Store(client, uri, experiment_id, names[experiment_id]), run


def _own(client: Any, pages: Pages, own: Sequence[str], kinds: Sequence[str]) -> Any | None:
    found = (_newest(client, pages, kinds, runs_of_search(search_id)) for search_id in own)
    return next((run for run in found if run is not None), None)


def _newest(client: Any, pages: Pages, kinds: Sequence[str], condition: str = "") -> Any | None:
    conditions = [" and ".join(filter(None, [condition, f"tags.`{KIND_TAG}` = '{kind}'"])) for kind in kinds]
    found = [
        run
        for ids in pages
        if ids
        for of_kind in conditions
        for run in client.search_runs(ids, of_kind, max_results=1, order_by=["start_time DESC"])
    ]
    return max(found, key=lambda run: run.info.start_time, default=None)


def _by_id(client: Any, pages: Pages, run_id: str | None, kinds: Sequence[str]) -> Any | None:
    if run_id is None or not _RUN_ID.fullmatch(run_id):
        return None
    return _newest(client, pages, kinds, f"attributes.run_id = '{run_id}'")


def _not_found(client: Any, uri: str, name: str | None, names: list[str]) -> str:
    deleted = None if name is None else client.get_experiment_by_name(name)
    if deleted is not None and deleted.lifecycle_stage == DELETED:
        return (
            f"the MLflow experiment {name!r} was deleted; `eig-tune search --resume` brings it back, or "
            f"mlflow experiments restore --experiment-id {deleted.experiment_id}"
        )
    if name in names:
        return f"the MLflow experiment {name!r} holds no search of eig-tune"
    there = [one_line(each) for each in names if each != "Default"]
    more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
    listed = ", ".join(there[:_MOST_NAMED]) or "none"
    return f"no search {'' if name is None else repr(name) + ' '}in {masked(uri)}; there are: {listed}{more}"
