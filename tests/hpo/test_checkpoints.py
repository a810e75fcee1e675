"""When a trial's weights are kept, so that a kill costs little and checkpoints cost little."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from small_search import measured, spec

from eig_tune.hpo import state as state_module
from eig_tune.hpo.engine import CHECKPOINT_SECONDS, Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import FixedRuns, SearchPolicy
from eig_tune.hpo.state import SearchState


class Clock:
    """Shows the time that a test makes it; ``set_back`` is by how much somebody has set back the one on the wall."""

    def __init__(self) -> None:
        self.seconds = self.set_back = 0.0

    def time(self) -> float:
        return 1e9 + self.seconds - self.set_back

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(state_module, "time", SimpleNamespace(time=made.time, monotonic=made.monotonic))
    return made


def fixed_run(state: SearchState, known: int = 0) -> Engine:
    """One run of 2000 steps, without rungs."""
    runs = [{"seed": 0}]
    return Engine(FixedRuns(runs, lambda params: 2000, {"nmi": "maximize"}, runs[:known]), state)


def kept_at(engine: Engine, clock: Clock, seconds: float, steps: range) -> list[int]:
    """Let trial 0 train, with so many seconds for each report; the steps whose weights are kept."""
    kept = []
    for step in steps:
        clock.seconds += seconds
        engine.report(0, step, measured(0, step))
        if engine.needs_checkpoint(0, step):
            engine.checkpointed(0, "somewhere", step)
            kept.append(step)
    return kept


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1.0, [2000]),
        (9.0, [400, 800, 1200, 1600, 2000]),
        (29.0, [200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 2000]),
        (30.0, list(range(100, 2001, 100))),
        (300.0, list(range(100, 2001, 100))),
    ],
)
def test_fast_run_is_kept_after_half_a_minute_and_slow_one_at_every_report(
    clock: Clock, seconds: float, expected: list[int]
) -> None:
    engine = fixed_run(SearchState())
    engine.propose()
    assert kept_at(engine, clock, seconds, range(100, 2001, 100)) == expected


@pytest.mark.parametrize("set_back", [0.0, 3600.0, -3600.0])
@pytest.mark.parametrize("seconds", [0.7, 4.0, 13.0, 29.9, 31.0, 70.0])
def test_kill_costs_less_than_half_a_minute_and_one_report(clock: Clock, seconds: float, set_back: float) -> None:
    """Of what a trial has trained, whenever it is killed and whatever somebody does to the machine's clock."""
    engine = fixed_run(SearchState())
    engine.propose()
    kept = 0.0
    for step in range(100, 2001, 100):
        clock.seconds += seconds
        lost = clock.seconds - kept  # killed now, in the last moment before the report
        assert lost < CHECKPOINT_SECONDS + seconds and (lost == seconds or seconds < CHECKPOINT_SECONDS)
        engine.report(0, step, measured(0, step))
        if step == 900:
            clock.set_back = set_back
        if engine.needs_checkpoint(0, step):
            engine.checkpointed(0, "somewhere", step)
            kept = clock.seconds
    assert kept == clock.seconds, "the last step is kept"


def test_checkpoint_at_every_rung_pause_and_end_however_fast_the_trial_is(clock: Clock) -> None:
    """Of a trial that is promoted at once, of one that waits, and of one that has collapsed between rungs."""
    state = SearchState()
    engine = Engine(SearchPolicy(spec()), state)
    promoted, waits, collapses = 2, 1, 0
    for number, step in ((0, 500), (1, 500), (2, 500)):
        engine.propose()
        engine.report(number, step, measured(number + 5, step))
    assert [trial.decision.status for trial in state.trials.values()] == ["paused", "paused", "running"]
    assert all(engine.needs_checkpoint(number, 500) for number in (promoted, waits, collapses))
    for number in (promoted, waits, collapses):
        engine.checkpointed(number, "somewhere", 500)
    engine.report(promoted, 1000, measured(7, 1000))
    assert not engine.needs_checkpoint(promoted, 1000)
    engine.report(promoted, 1500, {**measured(7, 1500), "discriminator_loss": 0.0})
    assert state.trials[promoted].decision.status == "collapsed" and engine.needs_checkpoint(promoted, 1500)


def test_steps_that_are_trained_again_after_a_kill_are_kept_again_by_the_same_rule(
    tmp_path: Path, clock: Clock
) -> None:
    """Reports are newer than the checkpoint: they come again, none is counted twice, and the first one is kept since
    the checkpoint is old by now; so processes that last for one report at a time come to an end as well."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = fixed_run(event_log)
        engine.propose()
        assert kept_at(engine, clock, 8.0, range(100, 701, 100)) == [400]
    before = (tmp_path / "events.jsonl").read_text()
    clock.seconds += 500.0
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = fixed_run(event_log, known=1)
        trial = engine.propose()
        assert trial is event_log.trials[0] and trial.checkpoint_step == 400 and max(trial.reports) == 700
        assert kept_at(engine, clock, 8.0, range(500, 2001, 100)) == [500, 900, 1300, 1700, 2000]
        engine.carry_out(0)
        assert trial.status == "finished" and list(trial.reports) == list(range(100, 2001, 100))
    after = (tmp_path / "events.jsonl").read_text()
    assert after.startswith(before) and after.count('"event": "report"') == 20


def test_moved_clock_of_a_resumed_search_delays_no_checkpoint(tmp_path: Path, clock: Clock) -> None:
    """It is resumed on a machine whose clock is an hour behind."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = fixed_run(event_log)
        engine.propose()
        assert kept_at(engine, clock, 31.0, range(100, 301, 100)) == [100, 200, 300]
    clock.set_back = 3600.0
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = fixed_run(event_log, known=1)
        engine.propose()
        assert kept_at(engine, clock, 10.0, range(400, 1001, 100)) == [600, 900]
