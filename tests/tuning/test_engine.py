"""The engine without Ray: rungs, verdicts, and going on from the ledger."""

import errno
import os
from io import FileIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from eig_tune.errors import ResultError, StorageError
from eig_tune.tuning.curves import write_curves
from eig_tune.tuning.engine import Engine
from eig_tune.tuning.ledger import Ledger
from eig_tune.tuning.scheduler import SuccessiveHalving
from eig_tune.tuning.space import SearchSpec, parse_spec
from eig_tune.tuning.strategies import Searching

STEPS = (500, 1000, 1500, 2000)


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


def run(engine: Engine, most: int = 10_000) -> None:
    """Drive the engine one trial after another for at most ``most`` reports."""
    while (trial := engine.propose()) is not None:
        for step in STEPS:
            if most == 0:
                return
            most -= 1
            if engine.report(trial.number, step, measured(trial.number, step)).verdict != "running":
                engine.end(trial.number)
                break


def test_a_rung_lets_the_best_third_go_on() -> None:
    halving = SuccessiveHalving([10], reduction_factor=3)
    went_on = []
    for trial, loss in enumerate([5.0, 4.0, 6.0, 1.0, 2.0, 3.0]):
        assert halving.record(trial, 10, (loss,)) == 10
        went_on.append(halving.may_go_on(trial, 10))
    assert went_on == [True, True, False, True, False, False]


def test_later_brackets_are_safe_at_the_first_rungs_and_compared_all_the_same() -> None:
    halving = SuccessiveHalving([10, 30], reduction_factor=3, brackets=3)
    trials = range(130)
    of_bracket = [[t for t in trials if halving.bracket(t) == bracket] for bracket in range(3)]
    assert [len(found) for found in of_bracket] == pytest.approx([90, 30, 10], abs=2)  # shares 9 : 3 : 1
    for rung in (10, 30):
        for trial in trials:
            halving.record(trial, rung, (float(trial),))  # each is worse than all before it
    judged = {rung: [t for t in trials if not halving.may_go_on(t, rung)] for rung in (10, 30)}
    worst = [t for t in trials if t >= len(trials) // 3]
    assert judged[10] == [t for t in worst if halving.bracket(t) == 0]
    assert judged[30] == [t for t in worst if halving.bracket(t) <= 1]


def test_every_trial_ends_with_a_reason(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a" / "ledger.jsonl") as ledger:
        engine = Engine(Searching(spec()), ledger)
        run(engine)
        assert len(ledger.trials) == 9
        assert all(trial.status in ("finished", "stopped") and trial.reason for trial in ledger.trials.values())
        assert {trial.status for trial in ledger.trials.values()} == {"finished", "stopped"}


@pytest.mark.parametrize("killed_after", [1, 4, 7, 12])
def test_killed_search_goes_on_as_if_nothing_had_happened(tmp_path: Path, killed_after: int) -> None:
    whole, cut = tmp_path / "whole" / "ledger.jsonl", tmp_path / "cut" / "ledger.jsonl"
    with Ledger(whole) as ledger:
        run(Engine(Searching(spec()), ledger))
        expected = {n: (t.values, t.status, t.reason) for n, t in ledger.trials.items()}
    with Ledger(cut) as ledger:
        run(Engine(Searching(spec()), ledger), most=killed_after)
    with cut.open("a") as file:
        file.write('{"event": "report", "tri')  # torn by the kill
    with Ledger(cut) as ledger:
        run(Engine(Searching(spec()), ledger))
        assert {n: (t.values, t.status, t.reason) for n, t in ledger.trials.items()} == expected


@pytest.mark.parametrize(
    ("step", "checkpoint_step", "status"),
    [(500, 500, "stopped"), (500, 0, "stopped"), (2000, 2000, "finished"), (2000, 1500, "running")],
)
def test_trial_judged_before_a_kill_is_ended_by_the_resume(
    tmp_path: Path, step: int, checkpoint_step: int, status: str
) -> None:
    """It would train on past its verdict; only a finished one without its last weights has to go back."""
    path = tmp_path / "a" / "ledger.jsonl"
    with Ledger(path) as ledger:
        engine = Engine(Searching(spec()), ledger)
        for number in range(3):
            assert engine.propose() is not None
            last = [s for s in STEPS if s <= step] if number == 2 else [500]
            for at in last:
                report = engine.report(number, at, {"nmi": 0.0, "prior_rmse": 0.9} if step == 500 else measured(9, at))
        engine.checkpointed(2, "somewhere", checkpoint_step)
        assert report.verdict == ("stopped" if step == 500 else "finished")
    with Ledger(path) as ledger:
        Engine(Searching(spec()), ledger)
        assert ledger.trials[2].status == status


def test_not_a_number_fails_the_trial(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a" / "ledger.jsonl") as ledger:
        engine = Engine(Searching(spec()), ledger)
        trial = engine.propose()
        assert trial is not None
        report = engine.report(trial.number, 500, {"nmi": float("nan"), "prior_rmse": 0.1})
        assert (report.verdict, report.reason) == ("failed", "nmi is not a number at step 500")


def test_trial_fails_when_its_process_dies_again_and_again_without_coming_further(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a" / "ledger.jsonl") as ledger:
        engine = Engine(Searching(spec()), ledger)
        for step in range(1, 11):
            assert engine.propose() is ledger.trials[0]
            engine.checkpointed(0, "somewhere", step)
            engine.died(0, "its node was lost")
        for _ in range(3):
            assert engine.propose() is ledger.trials[0]
            assert ledger.trials[0].status == "running"
            engine.died(0, "it needs too much memory")
        assert (ledger.trials[0].status, ledger.trials[0].reason) == ("failed", "it needs too much memory")


def test_a_search_runs_in_one_process_only(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a" / "ledger.jsonl"), pytest.raises(ResultError, match="running already"):
        Ledger(tmp_path / "a" / "ledger.jsonl")


def test_table_of_curves_has_every_report(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a" / "ledger.jsonl") as ledger:
        run(Engine(Searching(spec()), ledger))
        write_curves(ledger.trials.values(), tmp_path)
        rows = pq.read_table(tmp_path / "curves.parquet").to_pylist()
        told = {(row["trial"], row["step"]): (row["nmi"], row["value.tau"], row["verdict"]) for row in rows}
        assert told == {
            (number, step): (report.metrics["nmi"], trial.values["tau"], report.verdict)
            for number, trial in ledger.trials.items()
            for step, report in trial.reports.items()
        }
        assert len(rows) == len(told)


def test_ledger_that_cannot_be_written_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes a part of a line: nothing may come behind it, also when there is room again."""
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        engine = Engine(Searching(spec()), ledger)
        engine.propose()
        assert engine.halted is None
        monkeypatch.setattr(ledger, "_file", _FullDisk(ledger._file))
        with pytest.raises(StorageError, match=r"No space left on device.*--resume"):
            engine.report(0, 500, measured(0, 500))
        monkeypatch.undo()
        with pytest.raises(StorageError, match=r"No space left on device.*--resume"):
            engine.fail(0, "as Ray says whenever something is raised")
        assert engine.halted is not None
    with Ledger(path) as ledger:
        assert ledger.trials[0].reports == {} and ledger.trials[0].status == "running"
        run(Engine(Searching(spec()), ledger))
        assert len(ledger.trials) == 9


class _FullDisk:
    """The ledger's file on a disk that has room for ten more bytes."""

    def __init__(self, file: FileIO) -> None:
        self._file, self.name, self._room = file, file.name, 10

    def write(self, line: bytes) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room = 0
        return self._file.write(line[:10])


def test_observer_that_cannot_write_halts_the_search(tmp_path: Path) -> None:
    class Full:
        def __getattr__(self, name: str) -> Any:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "study.log")

    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        engine = Engine(Searching(spec()), ledger, [Full()])
        engine.propose()
        assert engine.halted is not None and "study.log cannot be written (No space left on device)" in engine.halted
        assert ledger.trials[0].status == "running"
