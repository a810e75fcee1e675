"""The engine without Ray: rungs, decisions, and going on from the event log."""

import errno
import json
import os
import random
import re
import shutil
import time
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eig_tune.cluster.moved_checkpoints import find_checkpoints
from eig_tune.cluster.storage import Storage
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.errors import ResultError, StorageError
from eig_tune.hpo import pareto
from eig_tune.hpo.asha import SuccessiveHalving
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import Action, Report, Trial, stop
from eig_tune.reports.curves import read_curves, write_curves
from eig_tune.training.checkpoint import RUN_FILE

STEPS = (500, 1000, 1500, 2000)
LOST = "its node was lost"
UNREADABLE = "its storage could not be read"


def spec(trials: int = 9) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 2000, "report_every": 500},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}, "tau": {"uniform": [0.1, 1]}},
        "trials": trials,
    }
    return parse_spec(document, "test")


def measured(number: int, step: int) -> dict[str, float]:
    quality = ((number * 7) % 10) / 10
    return {"nmi": quality * step / 2000, "prior_rmse": 0.3 - 0.2 * quality * step / 2000}


def run(engine: Engine) -> None:
    """Drive the engine one trial after another, each from its checkpoint."""
    while (trial := engine.propose()) is not None:
        for step in [step for step in STEPS if step > trial.checkpoint_step]:
            report = engine.report(trial.number, step, measured(trial.number, step))
            engine.checkpointed(trial.number, "somewhere", step)
            if report.decision.status != "running":
                engine.carry_out(trial.number)
                break


def halving_after(losses: Sequence[float], rungs: Sequence[int] = (10,), num_trials: int = 6) -> SuccessiveHalving:
    """Trials 0, 1, … that all wait at the first rung."""
    halving = SuccessiveHalving(rungs, 3, num_trials)
    for trial, loss in enumerate(losses):
        assert halving.enter(trial, rungs[0], (loss,)) == rungs[0]
        halving.pause(trial)
    return halving


def test_a_rung_promotes_the_best_third_and_no_more() -> None:
    halving = halving_after([5.0, 4.0])
    assert halving.promote() is None, "of two trials no third is the best"
    halving = halving_after([5.0, 4.0, 6.0, 1.0, 2.0, 3.0])
    assert [halving.promote() for _ in range(3)] == [3, 4, None]


def test_trial_need_not_wait_when_it_would_be_the_next_to_go_on() -> None:
    halving = halving_after([5.0, 4.0])
    assert halving.enter(2, 10, (1.0,)) == 10 and halving.is_promotable(2, 10)
    assert halving.promote() is None, "it has taken the only place"
    halving = halving_after([5.0, 4.0])
    assert halving.enter(2, 10, (6.0,)) == 10 and not halving.is_promotable(2, 10)
    assert halving.promote() == 1, "the one that was there before is better"


def test_highest_rung_comes_first() -> None:
    halving = halving_after([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], rungs=(10, 30), num_trials=12)
    for trial in (0, 1, 2):
        assert halving.promote() == trial
        halving.enter(trial, 30, (float(-trial),))
        halving.pause(trial)
    assert halving.enter(9, 10, (0.0,)) == 10
    halving.pause(9)
    assert [halving.promote() for _ in range(3)] == [2, 9, None]


def test_trial_is_unpromotable_when_more_are_better_than_will_ever_go_on() -> None:
    assert halving_after([5.0, 4.0, 6.0, 1.0, 7.0], num_trials=9).unpromotable().keys() == {2, 4}
    assert halving_after([5.0, 4.0, 6.0, 1.0, 7.0], num_trials=15).unpromotable() == {}


def test_the_best_is_promoted_by_force_when_no_other_is() -> None:
    halving = halving_after([5.0, 4.0])
    assert [halving.promote(force=True) for _ in range(3)] == [1, 0, None]


def test_later_brackets_are_safe_at_the_first_rungs_and_compared_all_the_same() -> None:
    halving = SuccessiveHalving([10, 30], reduction_factor=3, num_trials=130, brackets=3)
    trials = range(130)
    of_bracket = [[t for t in trials if halving.bracket(t) == bracket] for bracket in range(3)]
    assert [len(found) for found in of_bracket] == pytest.approx([90, 30, 10], abs=2)  # shares 9 : 3 : 1
    for rung in (10, 30):
        for trial in trials:
            halving.enter(trial, rung, (float(trial),))  # each is worse than all before it
    to_pause = {rung: [t for t in trials if not halving.is_promotable(t, rung)] for rung in (10, 30)}
    worst = [t for t in trials if t >= len(trials) // 3]
    assert to_pause[10] == [t for t in worst if halving.bracket(t) == 0]
    assert to_pause[30] == [t for t in worst if halving.bracket(t) <= 1]


def test_every_trial_ends_with_a_reason(tmp_path: Path) -> None:
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec()), event_log)
        run(engine)
        assert len(event_log.trials) == 9
        assert all(trial.status in ("finished", "stopped") and trial.reason for trial in event_log.trials.values())
        finished = {number for number, trial in event_log.trials.items() if trial.status == "finished"}
        assert finished == {1, 4, 7}, "the best third"


@pytest.mark.parametrize("trials", [1, 2, 4])
def test_one_trial_gets_to_its_end_however_few_there_are(tmp_path: Path, trials: int) -> None:
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec(trials)), event_log)
        run(engine)
        assert engine.complete and len(engine.finished()) == 1


def test_no_more_are_paused_than_can_be_promoted(tmp_path: Path) -> None:
    """Each keeps a checkpoint. Here every trial is worse than all before it."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec(30)), event_log)
        paused = []
        while (trial := engine.propose()) is not None:
            metrics = {"nmi": 0.5 - trial.number / 100, "prior_rmse": 0.1 + trial.number / 100}
            for step in STEPS if trial.last is None else STEPS[1:]:
                decision = engine.report(trial.number, step, metrics).decision
                engine.checkpointed(trial.number, "somewhere", step)
                if decision.action is not Action.CONTINUE:
                    break
            engine.carry_out(trial.number)
            paused.append(sum(trial.status == "paused" for trial in event_log.trials.values()))
        assert max(paused) <= 10 and len(engine.finished()) == 10
        assert {trial.status for trial in event_log.trials.values()} == {"finished", "stopped"}


def test_front_is_that_of_all_finished_trials_at_any_time_and_after_a_resume(tmp_path: Path) -> None:
    losses_N2 = np.random.default_rng(0).random((40, 2)).round(1)  # with ties
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec(40)), event_log)
        for number, (first, second) in enumerate(losses_N2.tolist()):
            engine.propose()
            engine.report(number, 2000, {"nmi": -first, "prior_rmse": second})
            engine.checkpointed(number, "somewhere", 2000)
            engine.carry_out(number)
            expected = np.flatnonzero(pareto.front(losses_N2[: number + 1])).tolist()
            assert [trial.number for trial in engine.front()] == expected
    with EventLog(tmp_path / "events.jsonl") as event_log:
        assert [trial.number for trial in Engine(SearchPolicy(spec(40)), event_log).front()] == expected


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


AILING = {7: {"discriminator_loss": 0.0}, 4: {"nmi": float("nan")}}  # two that are promoted


class Cluster:
    """Slots of which anything may happen to anyone at any time: processes die, the clock is set, the storage cannot be
    read, checkpoints are damaged, and an engine is killed and goes on in a home that was moved."""

    def __init__(self, folder: Path, seed: int, slots: int, trials: int, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._slots, self._trials = folder, slots, trials
        self._random = random.Random(seed)
        self._running: dict[int, int] = {}  # trial to the step that its weights have
        self._homes = self._ahead = 0
        clock = time.time
        patch.setattr(time, "time", lambda: clock() + self._ahead)
        (folder / "home-0").mkdir()
        self._open()

    @property
    def path(self) -> Path:
        """Where the event log lies now."""
        return self._folder / f"home-{self._homes}" / "events.jsonl"

    def _open(self) -> None:
        if self._random.random() < 0.3:
            before = self.path.parent
            self._homes += 1
            before.rename(self.path.parent)
        storage = Storage(str(self.path.parent / "ray"))
        self.event_log = EventLog(self.path, storage.uri)
        find_checkpoints(self.event_log, storage)
        self._engine = Engine(SearchPolicy(spec(self._trials)), self.event_log)
        self._running.clear()

    def run(self) -> None:
        while self._fill():
            if self._random.random() < 0.1:
                self._ahead = self._random.randint(-100_000, 100_000)
            if self._random.random() < 0.03 or self._engine.halted:  # the driver is killed or stopped
                if self._random.random() < 0.5:
                    for number in self._running:
                        self._engine.carry_out(number)
                self.close()
                self._open()
                continue
            number = self._random.choice(list(self._running))
            if self._random.random() < 0.1:
                self._die(number)
            elif self.event_log.trials[number].checkpoint is not None and self._random.random() < 0.1:
                self._lose_checkpoint(number)
            else:
                self._train(number)
        assert self._engine.complete

    def close(self) -> None:
        self.event_log.__exit__(None, None, None)

    def _fill(self) -> bool:
        while len(self._running) < self._slots and (trial := self._engine.propose()) is not None:
            assert trial.number not in self._running, "it runs already"
            self._running[trial.number] = trial.checkpoint_step
        return bool(self._running)

    def _train(self, number: int) -> None:
        step = self._running[number] = self._running[number] + 500
        metrics = {**measured(number, step), **AILING.get(number, {})} if step > 500 else measured(number, step)
        decision = self._engine.report(number, step, metrics).decision
        if self._random.random() < 0.1:
            self._die(number)  # before the checkpoint is whole
            return
        written = self.path.parent / f"ray/{number}/{step}"
        written.mkdir(parents=True, exist_ok=True)
        (written / RUN_FILE).touch()
        older = self._engine.checkpointed(number, str(written), step)
        if older is not None and older != str(written):
            shutil.rmtree(older)
        if decision.action is not Action.CONTINUE:
            self._engine.carry_out(number)
            del self._running[number]

    def _lose_checkpoint(self, number: int) -> None:
        """For a while, or for good."""
        location = str(self.event_log.trials[number].checkpoint)
        assert Path(location).is_dir(), "a checkpoint that is needed has been deleted, or is looked for elsewhere"
        del self._running[number]
        if self._random.random() < 0.7:
            self._engine.on_worker_lost(number, UNREADABLE, storage=True)
        elif self.event_log.trials[number].decision.status == "running":
            shutil.rmtree(location)
            self._engine.set_back(number, to_earlier=False)
        else:
            self._engine.on_worker_lost(number, LOST)

    def _die(self, number: int) -> None:
        del self._running[number]
        self._engine.on_worker_lost(number, LOST)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_every_trial_comes_to_a_right_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, slots: int
) -> None:
    cluster = Cluster(tmp_path, seed, slots, 12, monkeypatch)
    cluster.run()
    trials, path = cluster.event_log.trials, cluster.path
    cluster.close()
    assert UNREADABLE not in {trial.reason for trial in trials.values()}
    times = [json.loads(line)["at"] for line in path.read_text().splitlines()]
    assert times == sorted(times)
    assert len(trials) == 12 and "finished" in {trial.status for trial in trials.values()}
    for trial in trials.values():
        steps = sorted(trial.reports)
        assert steps == list(STEPS[: len(steps)]), "a report is missing"
        if trial.reason != LOST:
            expected = "finished" if steps[-1] == 2000 else "stopped"
            assert trial.status == {7: "collapsed", 4: "failed"}.get(trial.number, expected)
        assert trial.status != "finished" or trial.checkpoint_step == 2000, "its model is lost"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert_nobody_is_sent_back_or_told_twice(events)
    assert_reasons_were_true(events)


def assert_nobody_is_sent_back_or_told_twice(events: Sequence[dict[str, Any]]) -> None:
    """Between being promoted and paused again there is a report; no report comes twice, and none after the end."""
    news: dict[int, bool] = {}
    reported, ended = set[tuple[int, int]](), set[int]()
    for event in events:
        number = event["trial"]
        assert number not in ended or event["event"] == "checkpoint", event  # whose place may move with the home
        if event["event"] == "report":
            assert (number, event["step"]) not in reported
            reported.add((number, event["step"]))
            news[number] = True
        elif event["event"] == "pause":
            assert news[number], f"trial {number} was promoted and has lost its place"
            news[number] = False
        elif event["event"] == "end":
            ended.add(number)


def assert_reasons_were_true(events: Sequence[dict[str, Any]]) -> None:
    """At the moment they were given: a stopped trial's place among all that had got to its rung."""
    reached: dict[int, dict[int, float]] = {rung: {} for rung in spec().rungs()}
    waits_at: dict[int, int] = {}
    for event in events:
        number = event["trial"]
        if event["event"] == "report" and event["verdict"] not in ("collapsed", "failed"):
            for rung in [rung for rung in reached if rung <= event["step"]]:
                reached[rung].setdefault(number, event["metrics"]["prior_rmse"])
                waits_at[number] = rung
        if event["event"] == "end" and event["status"] == "stopped":
            rung = waits_at[number]
            best_first = sorted(reached[rung], key=reached[rung].__getitem__)
            equal = 1 + [reached[rung][other] for other in best_first].index(reached[rung][number])
            tie = rf"( \(the {equal}.. is as good and came first\))?$"
            matched = re.match(rf"rung (\d+): (\d+).. of (\d+), (\d+) may go on{tie}", event["reason"])
            if matched is None:
                matched = re.match(r"waited at rung (\d+) when the search ended, (\d+).. of (\d+)$", event["reason"])
            else:
                assert int(matched[2]) > 4 >= int(matched[4]) == len(best_first) // 3
                assert bool(matched[5]) == (equal < int(matched[2]))
            assert matched is not None, event["reason"]
            assert [int(n) for n in matched.groups()[:3]] == [rung, best_first.index(number) + 1, len(best_first)]


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


def test_not_a_number_fails_the_trial(tmp_path: Path) -> None:
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec()), event_log)
        trial = engine.propose()
        assert trial is not None
        report = engine.report(trial.number, 500, {"nmi": float("nan"), "prior_rmse": 0.1})
        assert report.decision == stop("failed", "nmi is not a number at step 500")


def test_trial_fails_when_its_process_dies_again_and_again_without_coming_further(tmp_path: Path) -> None:
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


def test_a_search_runs_in_one_process_only(tmp_path: Path) -> None:
    with EventLog(tmp_path / "a" / "events.jsonl"), pytest.raises(ResultError, match="running already"):
        EventLog(tmp_path / "a" / "events.jsonl")


def test_table_of_curves_has_every_report(tmp_path: Path) -> None:
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        run(Engine(SearchPolicy(spec()), event_log))
        write_curves(event_log.trials.values(), tmp_path)
        rows = read_curves(tmp_path / "curves.parquet").to_pylist()
        written = {(row["trial"], row["step"]): (row["nmi"], row["param.tau"], row["decision"]) for row in rows}
        assert written == {
            (number, step): (report.metrics["nmi"], trial.params["tau"], report.decision.status)
            for number, trial in event_log.trials.items()
            for step, report in trial.reports.items()
        }
        assert len(rows) == len(written)


def test_event_log_that_cannot_be_written_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes a part of a line: nothing may come behind it, also when there is room again."""
    path = tmp_path / "events.jsonl"
    with EventLog(path) as event_log:
        engine = Engine(SearchPolicy(spec()), event_log)
        engine.propose()
        assert engine.halted is None
        monkeypatch.setattr(event_log, "_file", _FullDisk(event_log._file))
        with pytest.raises(StorageError, match=r"No space left on device.*--resume"):
            engine.report(0, 500, measured(0, 500))
        monkeypatch.undo()
        with pytest.raises(StorageError, match=r"No space left on device.*--resume"):
            engine.fail(0, "as Ray says whenever something is raised")
        assert engine.halted is not None
    with EventLog(path) as event_log:
        assert event_log.trials[0].reports == {} and event_log.trials[0].status == "running"
        run(Engine(SearchPolicy(spec()), event_log))
        assert len(event_log.trials) == 9


class _FullDisk:
    """The event log's file on a disk that has room for ten more bytes."""

    def __init__(self, file: FileIO) -> None:
        self._file, self.name, self._room = file, file.name, 10

    def write(self, line: bytes) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room = 0
        return self._file.write(line[:10])


def test_observer_that_cannot_write_halts_the_search(tmp_path: Path) -> None:
    class Full(Observer):
        def trial_started(self, trial: Trial) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "study.log")

    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec()), event_log, [Full()])
        engine.propose()
        assert engine.halted is not None and "study.log cannot be written (No space left on device)" in engine.halted
        assert event_log.trials[0].status == "running"


def test_heartbeat_reaches_every_observer(tmp_path: Path) -> None:
    class Counted(Observer):
        beats = 0

        def heartbeat(self) -> None:
            self.beats += 1

    seen = [Counted(), Observer(), Counted()]
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec()), event_log, seen)
        engine.heartbeat()
        run(engine)
    assert [observer.beats for observer in seen if isinstance(observer, Counted)] == [1, 1]
