"""The live table of a search, as a terminal shows it."""

import io
import itertools
import re

import pytest
from rich.console import Console

from eig_tune.hpo.trial import Decision, Report, Status, Trial
from eig_tune.terminal.progress import LiveTrials, step_bar

OBJECTIVES = {"nmi": "maximize"}


def trial(number: int, status: Status, step: int = 500) -> Trial:
    reason = "not among the best 1/3 of rung 500" if status == "paused" else ""
    report = Report(step, {"nmi": number / 100}, float(number), Decision(status, reason))
    return Trial(
        number, {}, 0.0, status, reports={step: report}, ended_at=float(number) if status == "stopped" else None
    )


def shown(*trials: Trial) -> list[str]:
    """Lines of the table that are a trial's."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    terminal = LiveTrials({t.number: t for t in trials}, len(trials), 10_000, OBJECTIVES, console)
    console.print(terminal._table())
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    return [line for line in text.splitlines() if re.match(r" *\d+ ", line)]


@pytest.mark.parametrize("running", [2, 12, 20])
def test_table_stays_short_however_many_trials_run(running: int) -> None:
    trials = [trial(n, "stopped") for n in range(40)] + [trial(40 + n, "running") for n in range(running)]
    lines = shown(*trials)
    assert len(lines) == max(12, running)
    assert sum("running" in line for line in lines) == running


def test_paused_trial_is_shown_with_where_it_waits() -> None:
    lines = shown(trial(0, "stopped"), trial(1, "paused"), trial(2, "running"))
    assert " ".join(lines[1].split()) == "1 paused 500 0.010 not among the best 1/3 of rung 500"


@pytest.mark.parametrize(
    ("trained", "expected"), [(500, "1:40 so far"), (1500, "about 0:50 left after 1:40"), (2000, "1:40 so far")]
)
def test_time_left_is_that_of_the_steps_that_are_left(
    monkeypatch: pytest.MonkeyPatch, trained: int, expected: str
) -> None:
    """A resumed search with 500 of 2,000 steps behind it, which has trained on for 100 s."""
    now = iter([1000.0, 1100.0])
    monkeypatch.setattr("eig_tune.terminal.progress.time.monotonic", lambda: next(now))
    trials = {0: trial(0, "paused", 500)}
    terminal = LiveTrials(trials, 2, 2000, OBJECTIVES, Console(file=io.StringIO()))
    if trained > 500:
        trials[1] = trial(1, "running", trained - 500)
    assert terminal._time_left() == expected


def test_steps_of_long_work_are_reported_now_and_then_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(0, 20)
    monkeypatch.setattr("eig_tune.terminal.progress.time.monotonic", lambda: next(now))
    console = Console(file=io.StringIO(), width=80)
    with step_bar(console, "reading images") as on_progress:
        for done in range(1, 5):
            on_progress(done, 1234)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "reading images: 2 of 1,234\nreading images: 4 of 1,234\n"


def test_bar_of_no_steps_shows_nothing() -> None:
    console = Console(file=io.StringIO(), width=80)
    with step_bar(console, "reading images"):
        pass
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
