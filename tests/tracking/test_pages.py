"""The table of a search's trials in MLflow's UI, and the address that opens it."""

import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eig_tune.errors import EigTuneError, ResultError
from eig_tune.tracking import CLASSIFIER, OBJECTIVES_TAG, RunsTable, SearchTracker, open_store
from eig_tune.tracking.pages import server_of, table_of
from eig_tune.tracking.removal import delete_remains, find_remains
from eig_tune.tracking.ui import check_port, trials_page

MINE = "0123456789abcdef" * 2
TWO = {"prior_rmse": "minimize", "nmi": "maximize"}


def test_table_has_all_trials_flat_the_best_in_the_first_objective_on_top() -> None:
    state = json.loads(RunsTable(MINE, TWO, ["lambda_1", "tau"], labelled=True, confirmed=True).state())
    assert state["searchFilter"] == f"tags.`eig_tune.search_id` = '{MINE}' and tags.`eig_tune.kind` = 'trial'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`prior_rmse`", True)
    assert state["selectedColumns"] == [
        *(f"metrics.`{name}`" for name in (*TWO, "nmi_real")),
        "params.`lambda_1`",
        "params.`tau`",
        *(f"metrics.`{prefix}.{name}`" for name in TWO for prefix in ("confirmed", "confirmed_std")),
        "tags.`status`",
    ]
    assert state["columnOrder"][-len(state["selectedColumns"]) :] == state["selectedColumns"]


def test_table_without_labels_or_objectives() -> None:
    assert "nmi_real" not in RunsTable(MINE, {"neighbour_nmi": "maximize"}).state()
    assert json.loads(RunsTable(MINE, {}, ["method"]).state())["orderByKey"] == "attributes.start_time"


def test_table_of_very_many_params_fits_into_a_tag() -> None:
    table = RunsTable(MINE, TWO, [f"parameter_{number}" for number in range(1000)])
    assert 4000 < len(table.state()) <= 5000 and "parameter_0`" in table.state()


def test_server_is_the_stores_own_or_that_of_ui() -> None:
    assert server_of("https://mlflow.example/") == "https://mlflow.example"
    assert server_of("sqlite:////home/mlflow.db") == server_of("postgresql://host/db") == "http://127.0.0.1:5000"


@pytest.mark.parametrize("objectives", ["no JSON", "3", "[1]"])
def test_table_of_a_run_with_edited_tags(objectives: str) -> None:
    data = SimpleNamespace(tags={OBJECTIVES_TAG: objectives}, params={"search.tau": "uniform", "trials": "4"})
    table = table_of(SimpleNamespace(data=data))
    assert (dict(table.objectives), list(table.params), table.labelled) == ({}, ["tau"], False)


def _search(folder: Path, name: str, search_id: str, **params: Any) -> str:
    store = open_store(f"sqlite:///{folder}/mlflow.db", name, folder)
    tags = {OBJECTIVES_TAG: json.dumps(TWO)}
    SearchTracker(store, "search", search_id, params, tags).close("FINISHED", {})
    return str(store.experiment_id)


def test_search_of_an_earlier_version_gets_its_table(tmp_path: Path) -> None:
    """The newest search is shown where none is named; where there is none at all, the UI itself."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    experiment = _search(tmp_path, "older", MINE, **{"search.tau": "uniform", CLASSIFIER: "0.99"})
    where = f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={MINE[:12]}"
    assert trials_page(uri, None, []) == where
    newer = _search(tmp_path, "newer", "f" * 32)
    assert trials_page(uri, None, []).endswith("f" * 12) and newer != experiment
    assert trials_page(uri, "older", [MINE]) == where
    tag = (
        open_store(uri, "older", tmp_path).client.get_experiment(experiment).tags[f"mlflow.sharedViewState.{MINE[:12]}"]
    )
    assert "metrics.`nmi_real`" in tag and "params.`tau`" in tag
    SearchTracker(open_store(uri, "compared", tmp_path), "comparison", "c" * 32, {}, {}).close("FINISHED", {})
    assert trials_page(uri, "compared", []).endswith("c" * 12) and trials_page(uri, None, []).endswith("c" * 12)
    with pytest.raises(ResultError, match="no search 'another'"):
        trials_page(uri, "another", [])


def test_search_that_is_deleted_takes_its_table_with_it(tmp_path: Path) -> None:
    """Two searches in one experiment, as of a search that was begun anew under its name."""
    uri, tables = f"sqlite:///{tmp_path}/mlflow.db", [RunsTable(name * 32, TWO) for name in "ab"]
    store = open_store(uri, "mine", tmp_path)
    for table in tables:
        with SearchTracker(store, "search", table.search_id, {}, {}) as tracker:
            tracker.show_table(table)
            tracker.close("FINISHED", {})
    delete_remains(find_remains(uri, tables[0].search_id), versions=True)
    tags = store.client.get_experiment(store.experiment_id).tags
    assert tables[0].tag not in tags and tables[1].tag in tags


def test_port_in_use_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EigTuneError, match=rf"^--port: port {port} of this machine cannot be used .*--port \d+$"):
            check_port(port)
    check_port(port)
