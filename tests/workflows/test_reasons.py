"""What a person reads about a trial that has ended, rests or was interrupted is true, and the whole of it."""

import html
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from logged import logged
from rich.console import Console

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.asha import SuccessiveHalving
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import CONTINUE, Action, Decision, Report, Trial, pause
from eig_tune.reports.description import describe_search
from eig_tune.reports.optuna_study import as_optuna
from eig_tune.reports.outcomes import DiskUse, SearchOutcome, trial_document
from eig_tune.reports.page_plots import plots_as_html
from eig_tune.reports.phrases import count_outcomes
from eig_tune.reports.search_page import SearchPage
from eig_tune.terminal.progress import LiveTrials
from eig_tune.terminal.search import print_search
from eig_tune.workflows.trial_log import TrialLog

OBJECTIVES = {"nmi": "maximize"}


def spec(trials: int, **asha: int) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 2000, "report_every": 500},
        "asha": {"grace": 500, **asha},
        "search": {"tau": {"uniform": [0.1, 1]}},
        "objectives": OBJECTIVES,
        "trials": trials,
    }
    return parse_spec(document, "test")


def train(engine: Engine, number: int, *steps: int, nmi: float) -> None:
    for step in steps:
        engine.report(number, step, {"nmi": nmi})
        engine.checkpointed(number, "somewhere", step)
    engine.carry_out(number)


def search(event_log: EventLog, qualities: Sequence[float], of: SearchSpec | None = None) -> Engine:
    """Every trial in its turn, from its checkpoint to its pause or end; trial n has reached ``qualities[n]``."""
    engine = Engine(SearchPolicy(of or spec(len(qualities))), event_log)
    while (trial := engine.propose()) is not None:
        for step in [step for step in (500, 1000, 1500, 2000) if step > trial.checkpoint_step]:
            decision = engine.report(trial.number, step, {"nmi": qualities[trial.number]}).decision
            engine.checkpointed(trial.number, "somewhere", step)
            if decision.action is not Action.CONTINUE:
                engine.carry_out(trial.number)
                break
    return engine


def reasons(event_log: EventLog) -> dict[int, str]:
    return {number: trial.reason for number, trial in event_log.trials.items()}


def test_stopped_trial_says_by_how_many_it_was_beaten(tmp_path: Path) -> None:
    """At the moment of its end, not at that of its pause: then it was the first of one."""
    path = tmp_path / "events.jsonl"
    with EventLog(path) as event_log:
        engine = Engine(SearchPolicy(spec(9)), event_log)
        for number, nmi in enumerate((0.1, 0.2, 0.3, 0.4)):
            engine.propose()
            train(engine, number, 500, nmi=nmi)
        assert event_log.trials[0].reason == "rung 500: 4th of 4, 1 may go on"
        (end,) = [event for event in map(json.loads, path.read_text().splitlines()) if event["event"] == "end"]
        assert end["reason"] == "rung 500: 4th of 4, 1 may go on"
    with EventLog(path) as event_log:
        Engine(SearchPolicy(spec(9)), event_log)
        assert event_log.trials[0].reason == "rung 500: 4th of 4, 1 may go on"


def test_last_of_nine_is_reported_so(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(spec(9)), event_log)
        for _ in range(9):
            engine.propose()
        for number in range(9):
            train(engine, number, 500, nmi=0.9 if number < 3 else 0.3 - number / 100)
        assert event_log.trials[8].reason == "rung 500: 9th of 9, 3 may go on"
        assert event_log.trials[3].reason == "rung 500: 4th of 4, 1 may go on"


def test_trial_that_waited_until_the_end_says_that(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as event_log:
        search(event_log, (0.5, 0.4, 0.3))
        assert reasons(event_log) == {
            0: "full budget of 2000 steps",
            1: "waited at rung 500 when the search ended, 2nd of 3",
            2: "waited at rung 500 when the search ended, 3rd of 3",
        }


def test_reserve_of_a_small_search_is_not_reported_as_places(tmp_path: Path) -> None:
    """Of two one gets to its end, as somebody must: the other waited, and no rank excluded it."""
    with EventLog(tmp_path / "events.jsonl") as event_log:
        search(event_log, (0.5, 0.4))
        assert event_log.trials[1].reason == "waited at rung 500 when the search ended, 2nd of 2"


@pytest.mark.parametrize("then", ["resumed", "in one go"])
def test_every_reason_is_the_same_after_a_resume(tmp_path: Path, then: str) -> None:
    qualities = [((number * 7) % 10) / 10 for number in range(10)]
    with EventLog(tmp_path / "events.jsonl") as event_log:
        search(event_log, qualities)
        expected = reasons(event_log)
    with EventLog(tmp_path / "events.jsonl") as event_log:
        if then == "resumed":
            search(event_log, qualities)
        assert reasons(event_log) == expected
        assert all(expected.values())


def halving(losses: Sequence[float], **others: Any) -> SuccessiveHalving:
    made = SuccessiveHalving([10, 30], 3, 9, **others)
    for trial, loss in enumerate(losses):
        made.enter(trial, 10, (loss,))
        made.pause(trial)
    return made


def test_tie_with_the_last_that_may_go_on_is_reported() -> None:
    reasons_given = halving([0.0, 1.0, 1.0, 1.0, 1.0, 2.0]).unpromotable()
    assert reasons_given == {
        3: "rung 10: 4th of 6, 2 may go on (the 2nd is as good and came first)",
        4: "rung 10: 5th of 6, 2 may go on (the 2nd is as good and came first)",
        5: "rung 10: 6th of 6, 2 may go on",
    }


def test_no_trial_that_may_go_on_is_stopped_when_a_resumed_search_wants_fewer_trials() -> None:
    """Nine, and thirty are there."""
    of = halving([float(trial) for trial in range(30)])
    assert list(of.unpromotable()) == list(range(10, 30))
    assert [of.promote() for _ in range(11)] == [*range(10), None]


def test_trials_of_later_brackets_which_pass_a_rung_in_any_case_are_reported() -> None:
    of = halving([1.0, 2.0, 3.0, 4.0], brackets=2)
    assert of.unpromotable() == {3: "rung 10: 4th of 4, 1 may go on, and those of later brackets"}
    for trial, loss in enumerate((1.0, 2.0, 3.0, 4.0)):
        of.remove(trial)
        of.enter(trial, 30, (loss,))
        of.pause(trial)
    assert of.unpromotable() == {3: "rung 30: 4th of 4, 1 may go on"}, "nobody is safe at the last rung"


@pytest.mark.parametrize(
    ("place", "expected"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st")]
)
def test_places_are_english(place: int, expected: str) -> None:
    of = halving([float(trial) for trial in range(30)])
    assert f", {expected} of 30" in of.still_paused()[place - 1]
    assert place <= 10 or of.unpromotable()[place - 1] == f"rung 10: {expected} of 30, 10 may go on"


# Everywhere it is read.

LONG = "RuntimeError: size [3, 4] does not fit [/tmp]: " + "so this is a very long reason " * 6 + "END"


def ended(number: int, status: str, reason: str, last: str = "") -> Trial:
    report = Report(500, {"nmi": 0.5}, 0.0, pause(last) if status in ("paused", "stopped") else CONTINUE)
    return Trial(number, {"tau": 0.5}, 0.0, status, reason, {500: report})  # type: ignore[arg-type]


def on_screen(trials: Mapping[int, Trial], *, live: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=live, width=400, color_system=None)
    if live:
        console.print(LiveTrials(trials, 9, 9000, OBJECTIVES, console)._table())
        return out.getvalue()
    with logged() as log:
        for trial in trials.values():
            TrialLog(OBJECTIVES).trial_ended(trial)
    return log.text


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("status", ["stopped", "failed", "collapsed"])
def test_terminal_shows_a_reason_whole_and_as_it_is(status: str, live: bool) -> None:
    assert LONG in on_screen({0: ended(0, status, LONG)}, live=live)


def test_live_table_folds_a_reason_that_is_longer_than_its_line() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=60, color_system=None)
    console.print(LiveTrials({0: ended(0, "failed", LONG)}, 9, 9000, OBJECTIVES, console)._table())
    assert "END" in out.getvalue() and "…" not in out.getvalue()


def test_promoted_trial_that_trains_is_not_reported_as_waiting() -> None:
    trial = ended(0, "running", "", last="waits at rung 500")
    trial.reports[500] = Report(500, {"nmi": 0.5}, 0.0, pause("waits at rung 500"))
    trial.paused_at = 500
    assert "waits" not in on_screen({0: trial}, live=True)
    trial.status = "paused"
    assert "waits at rung 500" in on_screen({0: trial}, live=True)


def test_study_json_description_and_page_have_the_whole_reason() -> None:
    trials = [ended(0, "stopped", LONG), ended(1, "finished", "full budget of 500 steps")]
    assert as_optuna(trials[0], spec(9), OBJECTIVES).user_attrs["stop_reason"] == LONG
    assert trial_document(trials[0])["reason"] == LONG
    assert LONG in describe_search(spec(9), trials, (), (), NoArtifacts())
    page = SearchPage("test", "digits", spec(9), trials, plots=plots_as_html(trials, spec(9))).html()
    assert json.dumps(LONG)[1:-1].replace("/", "\\u002f") in page, "at the curve's last point"
    assert html.escape(LONG) in page, "in the table"


class NoArtifacts:
    def address(self, artifact: str) -> str:
        return artifact

    def page(self, artifact: str) -> str:
        return artifact


def test_trial_that_runs_no_more_when_the_search_was_stopped_is_interrupted() -> None:
    running = ended(0, "running", "")
    assert count_outcomes([running, ended(1, "paused", "")]) == "1 interrupted, 1 paused"
    document = trial_document(running)
    assert (document["status"], document["reason"]) == (
        "interrupted",
        "the search was stopped; --resume goes on from step 0",
    )
    waits = trial_document(ended(1, "paused", "", last="waits at rung 500"))
    assert (waits["status"], waits["reason"]) == ("paused", "waits at rung 500")


def test_best_so_far_is_no_failed_or_collapsed_trials() -> None:
    trials = {0: ended(0, "failed", "nmi is not a number"), 1: ended(1, "collapsed", ""), 2: ended(2, "stopped", "")}
    trials[0].reports[500] = Report(500, {"nmi": float("nan")}, 0.0, Decision("failed"))
    trials[1].reports[500] = Report(500, {"nmi": 0.99}, 0.0, Decision("collapsed"))
    terminal = LiveTrials(trials, 3, 3000, OBJECTIVES, Console(file=io.StringIO()))
    assert "best nmi 0.500" in terminal._summary()


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("finished", "stopped"), "2 of 9 trials have ended; go on with --resume"),
        (("finished", "running"), "1 of 9 trials have ended; go on with --resume"),
        (("finished",) * 9, None),
        (("finished",) * 9 + ("paused",) * 3, "9 of 12 trials have ended; go on with --resume"),
    ],
)
def test_search_that_was_stopped_says_so_also_when_all_trials_that_it_has_begun_have_ended(
    statuses: Sequence[str], expected: str | None
) -> None:
    trials = tuple(ended(number, status, "") for number, status in enumerate(statuses))
    disk = DiskUse("nowhere", 0, 0)
    outcome = SearchOutcome(
        "test", spec(9), trials, (), (), None, slots=1, wall_seconds=1.0, disk=disk, tracking_errors=()
    )
    out = io.StringIO()
    console = Console(file=out, width=200)
    print_search(outcome, outcome.spec, console, console)
    assert [line for line in out.getvalue().splitlines() if "--resume" in line] == (
        [] if expected is None else [expected]
    )
