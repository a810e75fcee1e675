"""The engine without Ray: rungs, decisions, and going on from the event log."""

import errno
import os
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from small_search import STEPS, measured, run, spec

from eig_tune.errors import ResultError, StorageError
from eig_tune.hpo import pareto
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import Action, Trial, stop
from eig_tune.reports.curves import read_curves, write_curves


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


def test_not_a_number_fails_the_trial(tmp_path: Path) -> None:
    with EventLog(tmp_path / "a" / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec()), event_log)
        trial = engine.propose()
        assert trial is not None
        report = engine.report(trial.number, 500, {"nmi": float("nan"), "prior_rmse": 0.1})
        assert report.decision == stop("failed", "nmi is not a number at step 500")


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
