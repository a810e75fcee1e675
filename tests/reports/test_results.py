"""What a search has come to is written on its own run in MLflow, and on the runs of its confirmed trials."""

from pathlib import Path

import pytest

from eig_tune.config.space import parse_spec
from eig_tune.hpo.candidates import Candidate, Confirmed
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.reports.results import metrics_of_search, write_results
from eig_tune.tracking import SearchTracker, open_store

SPEC = parse_spec(
    {
        "dataset": {"name": "digits"},
        "train": {"steps": 1500, "report_every": 250},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "trials": 2,
    },
    "test",
)
REACHED = {"nmi": 0.9, "prior_rmse": 0.1, "nmi_real": 0.8, "discriminator_loss": 1.3, "train_seconds": 2.0}


def test_own_run_has_the_best_trials_metrics_its_name_and_its_result(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "mine", tmp_path)
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(SPEC), event_log)
        for number in range(2):
            engine.propose()
            engine.report(number, 1500, {**REACHED, "nmi": 0.9 - 0.1 * number})
            event_log.checkpoint(number, str(tmp_path), 1500)
            engine.carry_out(number)
        tracker = SearchTracker(store, "search", "1" * 32, {}, {})
        for number in range(2):
            tracker.start_run(str(number), f"trial {number}", {}, at=1.0)
        # The best so far may have been logged with the same step, and a larger value.
        tracker.log_metrics(None, 3000, {"nmi": 0.99}, at=event_log.trials[1].reports[1500].at)
        trial = event_log.trials[0]
        deviations = {"nmi": 0.012, "prior_rmse": 0.01}
        confirmed = Confirmed(0, 3, 3, 0, {"nmi": 0.85, "prior_rmse": 0.12}, deviations)
        finished = [Candidate(trial, confirmed), Candidate(event_log.trials[1])]
        write_results(tracker, engine, SPEC, finished, trial)
        tracker.close("FINISHED", {})
    assert tracker.errors == []
    parent = store.client.get_run(tracker.parent_id)
    assert parent.info.run_name == "nmi 0.850 ± 0.012, prior_rmse 0.120 ± 0.010 · mine"
    assert parent.data.tags["best_trial"] == "0"
    assert parent.data.metrics == pytest.approx({
        "nmi": 0.9, "prior_rmse": 0.1, "nmi_real": 0.8, "confirmed.nmi": 0.85, "confirmed.prior_rmse": 0.12,
        "confirmed_std.nmi": 0.012, "confirmed_std.prior_rmse": 0.01, "trials_finished": 2, "trials_stopped": 0,
        "trials_collapsed": 0, "trials_failed": 0,
    })  # fmt: skip
    note = parent.data.tags["mlflow.note.content"]
    assert f"![samples.png](get-artifact?path=samples.png&run_uuid={tracker.parent_id})" in note
    assert f"[All trials as a table]({tracker.table_page})" in note
    names = {run.data.tags["eig_tune.trial"]: run.info.run_name for run in store.trial_runs(tracker.parent_id)}
    assert names["0"].startswith("nmi 0.850 ± 0.012, prior_rmse 0.120 ± 0.010 confirmed · trial 0 · lambda_1=")
    assert names["1"] == "trial 1", "which has its name from its end"


def test_search_without_a_finished_trial_counts_its_trials() -> None:
    assert metrics_of_search([], None) == {
        f"trials_{status}": 0.0 for status in ("collapsed", "failed", "finished", "stopped")
    }
