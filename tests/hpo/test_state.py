"""The state of a search: the same in memory as in its file, and made by events alone."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.objectives import Metrics
from eig_tune.hpo.policies import FixedRuns, SearchPolicy
from eig_tune.hpo.simulation import simulate_search
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import CONTINUE, Action, Decision, Report, Status, Trial, pause, stop

LEVELS = (500, 1500, 4500)


def spec() -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 4500, "report_every": 500},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "trials": 12,
    }
    return parse_spec(document, "test")


def measured(trial: int, step: int) -> Metrics:
    """Trial 3 collapses, trial 7 reports an infinite loss."""
    quality = trial * 7 % 12 / 12 * step / 4500
    health = {3: {"discriminator_loss": 0.0}, 7: {"generator_loss": float("inf")}}.get(trial, {})
    return {"nmi": quality, "prior_rmse": 0.3 - 0.2 * quality, **health}


def searched(state: SearchState) -> dict[int, Trial]:
    """The trials of a whole search."""
    for _ in simulate_search(Engine(SearchPolicy(spec()), state), measured, LEVELS, slots=3):
        state.heartbeat()
    return state.trials


def without_times(trials: dict[int, Trial]) -> list[Trial]:
    def reports(trial: Trial) -> dict[int, Report]:
        return {step: replace(report, at=0.0) for step, report in trial.reports.items()}

    return [
        replace(trial, at=0.0, checkpoint_at=None, ended_at=None, reports=reports(trial)) for trial in trials.values()
    ]


def test_search_in_memory_is_the_search_with_a_file_and_what_is_read_from_it(tmp_path: Path) -> None:
    expected = without_times(searched(SearchState()))
    assert {trial.status for trial in expected} == {"finished", "stopped", "collapsed", "failed"}
    with EventLog(tmp_path / "events.jsonl") as event_log:
        assert without_times(searched(event_log)) == expected
    with EventLog(tmp_path / "events.jsonl") as event_log:
        assert without_times(event_log.trials) == expected


def test_state_is_made_by_the_events_of_its_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, root="/storage") as event_log:
        event_log.begin({"id": "1"})
        event_log.note({"asked": 3})
        event_log.propose(0, {"tau": 0.1})
        event_log.checkpoint(0, "/storage/a/500", 500)
        expected = event_log.trials, event_log.header, event_log.notes, event_log.num_events
    state = SearchState()
    for line in path.read_text().splitlines():
        state.apply(json.loads(line))
    assert (state.trials, state.header, state.notes, state.num_events) == expected
    assert state.trials[0].path_in_storage == "a/500"


def test_times_in_memory_never_go_back() -> None:
    state = SearchState()
    state.apply({"event": "note", "notes": {}, "at": 4e9})  # from a machine whose clock is decades ahead
    assert state.propose(0, {}).at >= 4e9


@pytest.mark.parametrize(
    ("decision", "action", "status"),
    [
        (CONTINUE, Action.CONTINUE, "running"),
        (pause("waits at rung 500"), Action.PAUSE, "paused"),
        (stop("finished", "full budget"), Action.STOP, "finished"),
        (stop("collapsed", "prior collapse"), Action.STOP, "collapsed"),
        (stop("failed", "nmi is missing"), Action.STOP, "failed"),
    ],
)
def test_decision_is_kept_as_the_status_that_it_leads_to(
    tmp_path: Path, decision: Decision, action: Action, status: Status
) -> None:
    """As in the event logs of earlier versions, under the key ``verdict``."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        event_log.propose(0, {})
        event_log.report(0, 500, {"nmi": 0.5}, decision)
    assert json.loads((tmp_path / "events.jsonl").read_text().splitlines()[1])["verdict"] == status
    with EventLog(tmp_path / "events.jsonl") as event_log:
        read = event_log.trials[0].reports[500].decision
    assert read == decision and read.action is action and read.status == status


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_fixed_runs_are_each_trained_once_to_their_own_budget(slots: int) -> None:
    def budget(params: Mapping[str, Any]) -> int:
        return 500 if params["seed"] % 2 else 1500

    state = SearchState()
    for runs in (2, 4):  # the second time there are more of them, and the first ones are known
        known = [trial.params for trial in state.trials.values()]
        policy = FixedRuns([{"seed": seed} for seed in range(runs)], budget, {"nmi": "maximize"}, known)
        list(simulate_search(Engine(policy, state), lambda trial, step: {"nmi": 0.5}, LEVELS, slots))
    ended = [(trial.params["seed"], trial.status, max(trial.reports)) for trial in state.trials.values()]
    assert ended == [(seed, "finished", 500 if seed % 2 else 1500) for seed in range(4)]
