"""A server that answers too late has everything once in the end, though MLflow's client repeats each request."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow_server import MlflowServer
from slow_proxy import SlowProxy

from eig_tune.tracking import SearchTracker, Store, open_store
from eig_tune.tracking.registry import add_version

pytestmark = pytest.mark.slow
PATIENCE, LATE = 1, 1.6  # seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path_factory.mktemp("server"))
    yield running
    running.kill()


@pytest.fixture(params=[1, 3], ids=["one answer is late", "no answer comes in time"])
def proxy(server: MlflowServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowProxy]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(PATIENCE))
    running = SlowProxy(server.uri, LATE, request.param)
    yield running
    running.close()


def direct(server: MlflowServer) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(server.uri)


def test_experiment_and_runs_are_made_once(
    server: MlflowServer, proxy: SlowProxy, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    proxy.slow = ("/experiments/create", "/runs/create")
    store = open_store(proxy.uri, request.node.name, tmp_path)
    with SearchTracker(store, "search", "s1", {}, {}) as to:
        to.start_run("0", "trial 0", {"tau": 0.5}, at=1000.0)
        to.log_metrics("0", 1, {"nmi": 0.5}, at=1001.0)
        to.start_run("0.7", "confirmation", {"seed": 7}, at=1002.0, kind="confirmation", below="0")
        to.end_run("0.7", "FINISHED", {}, at=1003.0)
        to.end_run("0", "FINISHED", {}, at=1004.0)
        to.close("FINISHED", {})
    assert to.errors == []
    assert proxy.seen.count("/api/2.0/mlflow/runs/create") > 3, "no request was repeated"
    runs = direct(server).search_runs([store.experiment_id])
    assert Counter(run.data.tags.get("eig_tune.trial") for run in runs) == {None: 1, "0": 1, "0.7": 1}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert next(run for run in runs if run.data.tags.get("eig_tune.trial") == "0").data.metrics == {"nmi": 0.5}


def test_registered_model_and_its_version_are_made_once(
    server: MlflowServer, proxy: SlowProxy, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = open_store(proxy.uri, request.node.name, tmp_path)
    run_id = store.client.create_run(store.experiment_id).info.run_id
    (tmp_path / "bundle").mkdir()
    proxy.slow = ("/logged-models", "/registered-models/create", "/model-versions/create")
    name = f"model of {store.experiment_id}"
    made = add_version(store, name, run_id, tmp_path / "bundle", np.zeros((1, 1, 8, 8), np.uint8), {"nmi": "0.5"})
    client = direct(server)
    assert [version.version for version in client.search_model_versions(f"name = '{name}'")] == [made.version]
    (model,) = client.search_logged_models([store.experiment_id])
    assert (model.status, made.source) == ("READY", model.artifact_location)


def test_duplicate_that_is_made_late_is_deleted(server: MlflowServer, tmp_path: Path) -> None:
    store = open_store(server.uri, "late", tmp_path)
    with SearchTracker(store, "search", "s2", {}, {}) as to:
        to.start_run("0", "trial 0", {}, at=1000.0)
        to.end_run("0", "FINISHED", {}, at=1004.0)
        duplicate(store, "0")
        duplicate(store, None)
        to.close("FINISHED", {})
    assert to.errors == []
    assert status_of_all(store) == {None: "FINISHED", "0": "FINISHED"}
    kept = {run.info.run_id for run in store.runs_of("s2")}
    duplicate(store, "0")
    duplicate(store, None)
    again = SearchTracker(store, "search", "s2", {}, {})
    again.close("FINISHED", {})
    assert (again.is_new, again.ended) == (False, {"0"})
    assert {run.info.run_id for run in store.runs_of("s2")} == kept
    open_store(server.uri, "late", tmp_path, resumed="s2")
    assert {run.info.run_id for run in store.runs_of("s2")} == kept, "a duplicate was restored"


def duplicate(store: Store, key: str | None) -> None:
    tags = {"eig_tune.search_id": "s2", "eig_tune.kind": "search"}
    tags |= {} if key is None else {"eig_tune.trial": key, "eig_tune.kind": "trial"}
    store.client.create_run(store.experiment_id, tags=tags)


def status_of_all(store: Store) -> dict[str | None, str]:
    runs = store.client.search_runs([store.experiment_id])
    assert len(runs) == 2
    return {run.data.tags.get("eig_tune.trial"): run.info.status for run in runs}
