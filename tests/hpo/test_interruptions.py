"""Trials, workers and searches that are interrupted: what goes on, and from where."""

from pathlib import Path
from typing import Any

import pytest
from small_search import LOST, STEPS, measured, run, spec

from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import Report, Trial


def two_at_a_rung(event_log: EventLog) -> Engine:
    """Of two trials in all, about both of which was decided that they pause."""
    engine = Engine(SearchPolicy(spec(2)), event_log)
    for number in (0, 1):
        assert engine.propose() is event_log.trials[number]
        assert engine.report(number, 500, measured(number, 500)).decision.status == "paused"
    return engine


def test_next_best_goes_on_when_the_only_one_that_did_has_failed(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = two_at_a_rung(event_log)
        engine.carry_out(0)
        engine.carry_out(1)
        assert engine.propose() is event_log.trials[1]
        engine.fail(1, "CUDA error")
        assert engine.propose() is event_log.trials[0]


def test_paused_trial_is_no_candidate_before_it_has_come_to_rest(tmp_path: Path) -> None:
    """Its last checkpoint is still being written."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = two_at_a_rung(event_log)
        engine.carry_out(0)
        assert engine.propose() is None and event_log.trials[0].status == "paused"
        engine.carry_out(1)
        assert engine.propose() is event_log.trials[1]


def test_promoted_trial_that_begins_before_its_rung_is_not_paused_there_again(tmp_path: Path) -> None:
    """Its worker was lost before the checkpoint of the rung was whole."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec(1)), event_log)
        engine.propose()
        assert engine.report(0, 500, measured(0, 500)).decision.status == "paused"
        engine.on_worker_lost(0, LOST)
        assert event_log.trials[0].status == "paused"
        assert engine.propose() is event_log.trials[0]
        assert engine.report(0, 500, measured(0, 500)).decision.status == "running"
        assert engine.report(0, 1000, measured(0, 1000)).decision.status == "running"


@pytest.mark.parametrize("interruption", ["its worker is lost", "the search is stopped", "the search is killed"])
def test_promoted_trial_stays_promoted_when_better_ones_come_and_it_is_interrupted(
    tmp_path: Path, interruption: str
) -> None:
    path = tmp_path / "a" / "events.jsonl"
    with EventLog(path) as event_log:
        engine = Engine(SearchPolicy(spec(12)), event_log)
        for number, nmi in ((0, 0.2), (1, 0.1), (2, 0.1)):
            assert engine.propose() is event_log.trials[number]
            assert engine.report(number, 500, {"nmi": nmi, "prior_rmse": 0.1}).decision.status == "paused"
            engine.carry_out(number)
        assert engine.propose() is event_log.trials[0], "the best third"
        for number, nmi in ((3, 0.8), (4, 0.9)):
            engine.propose()
            assert engine.report(number, 500, {"nmi": nmi, "prior_rmse": 0.1}).decision.status == "running"
        if interruption == "its worker is lost":
            engine.on_worker_lost(0, LOST)
            assert engine.propose() is event_log.trials[0]
        elif interruption == "the search is stopped":
            engine.carry_out(0)
    with EventLog(path) as event_log:
        engine = Engine(SearchPolicy(spec(12)), event_log)
        assert [engine.propose() for _ in range(3)] == [event_log.trials[number] for number in (0, 3, 4)]


class CaughtUp(Observer):
    """An observer that knows all trials of the event log once the engine is there, and is notified of none before."""

    trials: dict[int, None] | None = None

    def trial_started(self, trial: Trial) -> None:
        assert self.trials is not None and trial.number not in self.trials
        self.trials[trial.number] = None

    def trial_resumed(self, trial: Trial) -> None:
        assert self.trials is not None and trial.number in self.trials

    def trial_reported(self, trial: Trial, report: Report) -> None:
        assert self.trials is not None and trial.number in self.trials

    def trial_checkpointed(self, trial: Trial) -> None:
        assert self.trials is not None and trial.number in self.trials

    def trial_ended(self, trial: Trial) -> None:
        assert self.trials is not None
        del self.trials[trial.number]


def test_search_killed_after_any_event_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    def outcomes(event_log: EventLog) -> dict[int, Any]:
        return {n: (t.params, t.status, t.reason, list(t.reports)) for n, t in event_log.trials.items()}

    with EventLog(tmp_path / "whole" / "events.jsonl") as event_log:
        run(Engine(SearchPolicy(spec()), event_log))
        expected = outcomes(event_log)
    lines = (tmp_path / "whole" / "events.jsonl").read_text().splitlines(keepends=True)
    for killed_after in range(len(lines)):
        cut = tmp_path / str(killed_after) / "events.jsonl"
        cut.parent.mkdir()
        cut.write_text("".join(lines[:killed_after]) + '{"event": "report", "tri')  # torn by the kill
        seen = CaughtUp()
        with EventLog(cut) as event_log:
            engine = Engine(SearchPolicy(spec()), event_log, [seen])
            seen.trials = dict.fromkeys(n for n, t in event_log.trials.items() if not t.ended)
            run(engine)
            assert outcomes(event_log) == expected, lines[killed_after - 1]


@pytest.mark.parametrize(
    ("trials", "step", "checkpoint_step", "decision", "status"),
    [
        (4, 500, 500, "paused", "stopped"),
        (4, 500, 0, "paused", "stopped"),
        (12, 500, 500, "paused", "paused"),
        (12, 500, 0, "paused", "paused"),
        (9, 2000, 2000, "finished", "finished"),
        (9, 2000, 1500, "finished", "running"),
    ],
)
def test_trial_is_not_run_past_a_decision_made_before_a_kill(
    tmp_path: Path, trials: int, step: int, checkpoint_step: int, decision: str, status: str
) -> None:
    """Only a finished one without its last weights has to go back."""
    path = tmp_path / "a" / "events.jsonl"
    with EventLog(path) as event_log:
        engine = Engine(SearchPolicy(spec(trials)), event_log)
        for number in range(4):
            assert engine.propose() is not None
            for at in [s for s in STEPS if s <= step] if number == 3 else [500]:
                report = engine.report(number, at, {"nmi": 0.0, "prior_rmse": 0.9} if step == 500 else measured(9, at))
        engine.checkpointed(3, "somewhere", checkpoint_step)
        assert report.decision.status == decision
    with EventLog(path) as event_log:
        Engine(SearchPolicy(spec(trials)), event_log)
        assert event_log.trials[3].status == status


def test_trial_that_reports_something_new_before_it_loses_a_worker_does_not_fail(tmp_path: Path) -> None:
    """Whether or not there is a checkpoint of it."""
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec(1)), event_log)
        for step in range(100, 1001, 100):
            assert engine.propose() is event_log.trials[0]
            engine.report(0, step, measured(0, step))
            engine.on_worker_lost(0, LOST)
        assert not event_log.trials[0].ended and event_log.trials[0].checkpoint is None


def test_trial_fails_when_it_loses_one_worker_after_the_other_without_coming_further(tmp_path: Path) -> None:
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec()), event_log)
        for step in range(1, 11):
            assert engine.propose() is event_log.trials[0]
            engine.checkpointed(0, "somewhere", step)
            engine.on_worker_lost(0, LOST)
        for _ in range(3):
            assert engine.propose() is event_log.trials[0]
            assert event_log.trials[0].status == "running"
            engine.on_worker_lost(0, "it needs too much memory")
        assert (event_log.trials[0].status, event_log.trials[0].reason) == ("failed", "it needs too much memory")
