"""Pages of MLflow's UI: the table of a search's trials, a run, its artifacts.

The table is what the UI calls a shared view: an experiment's tag that holds the columns, the order and the filter of
its runs as JSON, which an address names by its key (seen in MLflow 3.17; without that tag the UI opens on the page of
traces, which a search has none of).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from eig_tune import strict_json
from eig_tune.hpo.candidates import CONFIRMED, CONFIRMED_DEVIATION
from eig_tune.tracking.tags import KIND_TAG, LONGEST_TAG, OBJECTIVES_TAG, SEARCH_TAG, runs_of_search

OWN_SERVER = "http://127.0.0.1:5000"  # where `eig-tune ui` serves a store, unless given another port
# Parameters of a search's parent run: the prefix of those that name what was searched, and one that only a search with
# labels has.
SEARCHED, CLASSIFIER = "search.", "classifier_accuracy"
_VIEW_TAG = "mlflow.sharedViewState."
# The box to select a run, its name, and when it was made.
_LEFT_COLUMNS = ("0", "attributes.`Run Name`", "runDateAndNestInfo")
# What else the UI puts into a shared view; that of MLflow 3.11 fails where something of it is missing.
_AS_EVER: Mapping[str, Any] = {
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "modelVersionFilter": "All Runs",
    "datasetsFilter": [],
    "orderByKey": "attributes.start_time",
    "orderByAsc": True,
    "columnWidths": {"attributes.`Run Name`": 330},
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
    "runsHiddenMode": "FIRST_20_RUNS",
    "viewMaximized": False,
    "runListHidden": False,
    "isAccordionReordered": False,
    "groupBy": None,
    "groupsExpanded": {},
    "autoRefreshEnabled": True,
    "useGroupedValuesInCharts": True,
    "hideEmptyCharts": True,
    "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
}
_KEY_LENGTH = 12  # characters of a search's id: enough among the searches of one experiment
_OF_LABELS = ("nmi_real",)  # shown beside the objectives where there are labels


@dataclass(frozen=True)
class RunPage:
    """Addresses in MLflow's UI that have to do with one run: of its page, of an artifact of it, and of the page that
    shows that artifact. They are relative to the server, as they may stand in a description."""

    experiment_id: str
    run_id: str

    def __str__(self) -> str:
        return f"#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def address(self, artifact: str) -> str:
        """Where the UI's server has an artifact, for a picture."""
        return f"get-artifact?path={quote(artifact)}&run_uuid={self.run_id}"

    def page(self, artifact: str) -> str:
        """The page that shows an artifact, for a link."""
        return f"{self}/artifacts/{quote(artifact)}"


@dataclass(frozen=True)
class RunsTable:
    """The table of a search's trials: all of them, flat, the best in the first objective on top.

    Attributes:
        search_id: of the search.
        objectives: metric to direction.
        params: names of what differs between trials.
        labelled: whether the images have labels, so that trials have metrics of labels, too.
        confirmed: whether trials are confirmed, so that they have means and deviations of the objectives, too.
    """

    search_id: str
    objectives: Mapping[str, str]
    params: Iterable[str] = ()
    labelled: bool = False
    confirmed: bool = False

    @property
    def tag(self) -> str:
        """The experiment's tag that holds it."""
        return f"{_VIEW_TAG}{_key(self.search_id)}"

    def state(self) -> str:
        """The tag's value, with as many of the params as MLflow has room for."""
        shown = dict.fromkeys([*self.objectives, *(_OF_LABELS if self.labelled else ())])
        after = [f"{prefix}{name}" for name in self.objectives for prefix in (CONFIRMED, CONFIRMED_DEVIATION)]
        first = [_column("metrics", name) for name in shown]
        last = [_column("metrics", name) for name in after] if self.confirmed else []
        params = [_column("params", name) for name in self.params]
        while len(text := self._state([*first, *params, *last, _column("tags", "status")])) > LONGEST_TAG and params:
            params.pop()
        return text

    def _state(self, columns: list[str]) -> str:
        condition = f"{runs_of_search(self.search_id)} and tags.`{KIND_TAG}` = 'trial'"
        state = {**_AS_EVER, "searchFilter": condition, "selectedColumns": columns}
        state["columnOrder"] = [*_LEFT_COLUMNS, *columns]
        if first := next(iter(self.objectives), None):
            state["orderByKey"] = _column("metrics", first)
            state["orderByAsc"] = self.objectives[first] == "minimize"
        return strict_json.dumps(state)


def table_page(experiment_id: str, search_id: str) -> str:
    """The page of a search's :class:`RunsTable`, relative to the server."""
    where = f"#/experiments/{experiment_id}/runs"
    return f"{where}?workflowType=machine_learning&viewStateShareKey={_key(search_id)}"


def table_of(parent: Any) -> RunsTable:
    """The table of the trials below MLflow's run ``parent``, by what that says of its search."""
    try:
        objectives = json.loads(parent.data.tags.get(OBJECTIVES_TAG, "{}"))
        named = {str(name): str(direction) for name, direction in objectives.items()}
    except (ValueError, AttributeError):  # users can edit tags
        named = {}
    params = [name.removeprefix(SEARCHED) for name in parent.data.params if name.startswith(SEARCHED)]
    search_id, labelled = parent.data.tags.get(SEARCH_TAG, ""), CLASSIFIER in parent.data.params
    return RunsTable(search_id, named, params, labelled, confirmed=True)


def server_of(uri: str) -> str:
    """The address of the server that shows a store: the store's own, or that of `eig-tune ui`."""
    return uri.rstrip("/") if is_server(uri) else OWN_SERVER


def is_server(uri: str) -> bool:
    """Whether the store is a server of MLflow, which has a UI of its own."""
    return uri.startswith(("http://", "https://"))


def _key(search_id: str) -> str:
    return search_id[:_KEY_LENGTH]


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
