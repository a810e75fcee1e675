"""A search that has run, as it lies on disk and in MLflow, without the minutes that it takes."""

import json
from collections.abc import Mapping
from pathlib import Path

from eig_tune.api.space import load_space
from eig_tune.cluster.storage_address import named_storage
from eig_tune.home import Home
from eig_tune.hpo.event_log import read_state
from eig_tune.reports.curves import write_curves
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.reports.provenance import write_spec
from eig_tune.tracking import CONSTRAINTS_TAG, OBJECTIVES_TAG, SearchTracker, local_uri, open_store

NONE: Mapping[str, str] = {}
NAME, SEARCH_ID = "written", "a" * 32
OBJECTIVES = {"nmi": "maximize", "prior_rmse": "minimize"}
# By trial: its status, and (nmi, prior_rmse) at its reports.
REACHED = {
    0: ("finished", [(0.1, 0.3), (0.5, 0.2), (0.9, 0.2)]),
    1: ("finished", [(0.1, 0.3), (0.6, 0.1), (0.8, 0.1)]),
    2: ("stopped", [(0.1, 0.3)]),
    3: ("finished", [(0.1, 0.3), (0.3, 0.2), (0.7, 0.3)]),
}
DISAGREEING = 0  # the trial whose encoder puts 40 % of the images elsewhere than its prior says


def events(running: bool) -> list[dict[str, object]]:
    shown: list[dict[str, object]] = [{"event": "search", "header": {"id": SEARCH_ID}}]
    for number, (status, reports) in REACHED.items():
        shown.append({"event": "trial", "trial": number, "values": {"lambda_2": 5.0 * (number + 1)}})
        shown.append({"event": "start", "trial": number, "runner": f"ray-{number}"})
        for index, (nmi, prior_rmse) in enumerate(reports, start=1):
            gap = 0.4 if number == DISAGREEING else 0.1
            metrics = {"nmi": nmi, "prior_rmse": prior_rmse, "code_recovery": 0.5, "prior_posterior_gap": gap}
            verdict = status if index == len(reports) else "running"
            step = 1000 * index
            shown.append(
                {"event": "report", "trial": number, "step": step, "metrics": metrics, "verdict": verdict, "reason": ""}
            )
        if not (running and number == max(REACHED)):
            shown.append({"event": "end", "trial": number, "status": status, "reason": f"why {number} ended"})
    return [{**event, "at": 1e9 + index} for index, event in enumerate(shown)]


def write_search(
    home: Path, *, running: bool = False, constraints: Mapping[str, str] = NONE, uri: str | None = None
) -> Path:
    """Write the search into a home: event log, MLflow runs, space and curves; its last trial may still be running."""
    spec = load_space({"search": {"lambda_2": {"loguniform": [1, 30]}}}, trials=4, train={"steps": 3000},
                      constraints=constraints)  # fmt: skip
    log = Home(home).event_log(NAME)
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(event) + "\n" for event in events(running)))
    trials = read_state(log).trials
    store = open_store(uri or local_uri(home), NAME, home)
    tags = {OBJECTIVES_TAG: json.dumps(OBJECTIVES), CONSTRAINTS_TAG: json.dumps(constraints)}
    with SearchTracker(store, "search", SEARCH_ID, {"trials": spec.trials}, tags) as tracker:
        runs = MlflowRuns(tracker, named_storage(None, home / "ray"), (), spec.method, spec.rungs())
        runs.catch_up(trials)
        tracker.log_artifacts(None, lambda folder: write_spec(spec, folder))
        tracker.log_artifacts(None, lambda folder: write_curves(trials.values(), folder))
        tracker.close("KILLED" if running else "FINISHED", {})
    assert tracker.errors == []
    return home
