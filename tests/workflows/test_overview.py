"""Searches of a home as another shell sees them: running, killed, ended, on another host, damaged, of old versions."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eig_tune.cli.app import app
from eig_tune.config.space import parse_spec
from eig_tune.errors import ConfigError, ResultError
from eig_tune.home import Home
from eig_tune.hpo import added
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import CONTINUE, Action, pause, stop
from eig_tune.stopping import Stop
from eig_tune.workflows.notes import note_begin, note_end, note_plan
from eig_tune.workflows.overview import Overview, look_at, look_at_all
from eig_tune.workflows.requests import add_trial, ask_to_stop

NAME = "digits"
DOCUMENT = {
    "dataset": {"name": "digits"},
    "train": {"steps": 2000, "report_every": 500},
    "asha": {"grace": 500},
    "search": {"lambda_1": {"loguniform": [0.3, 3]}, "tau": {"uniform": [0.1, 1]}},
    "start_from": [{"lambda_1": 1.0, "tau": 0.5}],
    "trials": 3,
}
SPEC = parse_spec(DOCUMENT, "test")
# Holds the event log as a search does, heeds a request to stop, and says so.
HOLDER = """
import sys, time
from pathlib import Path
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.stopping import Stop
from eig_tune.workflows.notes import note_begin, note_end
home, stop = Home(Path(sys.argv[1])), Stop()
with EventLog(home.event_log("digits")) as event_log, stop.heeding(home.stop_request("digits")):
    note_begin(event_log, "search", "/nowhere", "sqlite:///x")
    print("holds", flush=True)
    while not stop.asked:
        time.sleep(0.02)
    note_end(event_log, False, stop.reason)
"""


def begin(event_log: EventLog) -> None:
    event_log.begin({"id": "f" * 32, "spec": SPEC.model_dump(mode="json")})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a search of three trials: one has finished, one waits at its rung and one trains."""
    home = Home(tmp_path)
    with EventLog(home.event_log(NAME)) as event_log:
        begin(event_log)
        note_begin(event_log, "search", "/nowhere", "sqlite:///x")
        note_plan(event_log, 3, 6000)
        for number, (nmi, step, decision) in enumerate(
            [(0.9, 2000, stop("finished", "full budget")), (0.2, 500, pause("waits at rung 500")), (0.5, 500, CONTINUE)]
        ):
            event_log.propose(number, {"lambda_1": 1.0 + number, "tau": 0.5})
            event_log.start(number, f"ray-{number}")
            event_log.place(number, f"node-{number}")
            event_log.report(number, step, {"nmi": nmi, "prior_rmse": 0.1}, decision)
        event_log.end(0, "finished", "full budget")
        event_log.pause(1)
        note_end(event_log, False, "the time budget is over")
    return home


@pytest.fixture
def running(home: Home) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs the search."""
    command = [sys.executable, "-c", HOLDER, str(home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "holds\n"
        yield process
        process.kill()


def shown(*arguments: object) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.exception
    return done.stdout


def as_json(*arguments: object) -> Any:
    return json.loads(shown(*arguments, "--json"))


def test_search_that_was_stopped(home: Home) -> None:
    search = look_at(home, NAME)
    assert (search.standing, search.why, search.planned) == ("stopped", "the time budget is over", 3)
    assert search.best is not None and search.best.number == 0
    table = shown("status", NAME, "--home", home.path)
    assert table.splitlines()[0].startswith(
        "digits: stopped · 1 of 3 trials ended · 1 paused · last event 0 s ago · the"
    )
    assert "best: nmi 0.900, prior_rmse 0.100 (trial 0)" in table
    rows = {int(line.split()[0]): " ".join(line.split()) for line in table.splitlines()[3:]}
    assert rows[0] == "0 finished 500 2,000 0.900 0.100 node-0 lambda_1=1 tau=0.5"
    assert rows[1] == "1 paused 500 500 0.200 0.100 node-1 waits at rung 500"
    assert rows[2] == "2 interrupted 500 500 0.500 0.100 node-2 lambda_1=3 tau=0.5"
    (line,) = shown("list", "--home", home.path).splitlines()[1:]
    assert line.split()[:5] == ["digits", "stopped", "1", "of", "3"] and "nmi 0.900, prior_rmse 0.100 (trial 0)" in line
    (listed,) = as_json("list", "--home", home.path)
    status = as_json("status", NAME, "--home", home.path)
    assert listed.items() <= {**status, "newest_at": listed["newest_at"]}.items()
    assert listed["num_trials"] == {"ended": 1, "begun": 3, "planned": 3}
    assert [(t["trial"], t["status"], t["rung"], t["host"]) for t in status["trials"]][2] == (
        2,
        "interrupted",
        500,
        "node-2",
    )


def test_running_search_is_asked_to_end_and_ends(home: Home, running: "subprocess.Popen[str]") -> None:
    search = look_at(home, NAME)
    assert search.standing == "running" and f"process {running.pid} on " in search.lock.owner
    assert "digits: running in process" in shown("status", NAME, "--home", home.path)
    asked = list[Overview]()
    after = ask_to_stop(home, NAME, 20, asked.append)
    assert running.wait(timeout=10) == 0 and len(asked) == 1
    assert after.standing == "stopped" and after.why.startswith(f"stopped by eig-tune stop (process {os.getpid()} on ")
    assert not home.stop_request(NAME).exists()
    assert ask_to_stop(home, NAME, 0, asked.append).standing == "stopped" and len(asked) == 1, "nobody to be asked"


def test_killed_search_is_said_to_be_and_has_nobody_to_ask(home: Home, running: "subprocess.Popen[str]") -> None:
    running.send_signal(signal.SIGKILL)
    running.wait()
    search = look_at(home, NAME)
    assert (search.standing, search.lock.owner.split()[1]) == ("killed", str(running.pid))
    assert "digits: killed in process" in shown("stop", NAME, "--home", home.path) + shown(
        "status", NAME, "--home", home.path
    )
    with EventLog(home.event_log(NAME)):
        assert look_at(home, NAME).standing == "running", "somebody has gone on with it"


def test_stale_lock_of_another_host_is_that_of_a_killed_search(home: Home) -> None:
    home.event_log(NAME).with_suffix(".lock").write_text("process 17 on another-machine")
    assert look_at(home, NAME).standing == "killed"
    assert "killed in process 17 on another-machine" in shown("status", NAME, "--home", home.path)


def test_without_locks_a_process_of_another_host_counts_as_running_and_does_not_answer(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert look_at(home, NAME).standing == "stopped", "nobody is named"
    lock = home.event_log(NAME).with_suffix(".lock")
    lock.write_text("process 17 on another-machine")
    assert look_at(home, NAME).standing == "running"
    with pytest.raises(ResultError, match=f"process 17 on another-machine has been asked.*gone, delete {lock}"):
        ask_to_stop(home, NAME, 0.3, lambda search: None)
    assert home.stop_request(NAME).is_file(), "it may still see it"


def test_request_from_before_ends_no_later_search(home: Home) -> None:
    home.stop_request(NAME).write_text("process 17 on another-machine")
    end = Stop()
    with end.heeding(home.stop_request(NAME)):
        assert not end.asked
        home.stop_request(NAME).write_text("process 17 on another-machine")
        end._request_looked_at -= 10
        assert end.reason == "stopped by eig-tune stop (process 17 on another-machine)" and end.patience == 60
    assert end.asked, "the reason is known until the end"


@pytest.mark.parametrize("content", [b"{}\n", b"\xff\xfe\n", b'{"event": "pause", "trial": 9}\n'])
def test_damaged_event_log_is_in_the_list_with_the_others(home: Home, content: bytes) -> None:
    log = home.event_log("broken")
    log.parent.mkdir()
    log.write_bytes(content)
    standings = {search.name: search.standing for search in look_at_all(home)}
    assert standings == {NAME: "stopped", "broken": "damaged"}
    assert "damaged" in shown("status", "broken", "--home", home.path) and "broken" in shown(
        "list", "--home", home.path
    )


def test_search_of_an_earlier_version_notes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with EventLog(home.event_log(NAME)) as event_log:
        begin(event_log)
        event_log.propose(0, {"lambda_1": 1.0})
    assert look_at(home, NAME).standing == "stopped"
    with EventLog(home.event_log(NAME)) as event_log:
        event_log.end(0, "failed", "out of luck")
    search = look_at(home, NAME)
    assert (search.standing, search.kind, search.planned, search.seconds_left()) == ("complete", "search", 1, None)
    assert as_json("status", NAME, "--home", home.path)["best"] is None


def test_no_such_search_names_those_that_are_there(home: Home) -> None:
    with pytest.raises(ResultError, match=f"no search 'digit' in {home.path}; there are: digits"):
        look_at(home, "digit")
    assert look_at_all(Home(home.path / "none")) == []


def test_time_left_is_that_of_the_steps_that_are_left(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before this process began 3,000 of 6,000 steps were trained; it has trained 1,000 in 100 s."""
    with EventLog(home.event_log(NAME)) as event_log:
        note_begin(event_log, "search", "/nowhere", "")
        began = event_log.notes["process"]["at"]
        event_log.report(2, 1500, {"nmi": 0.6, "prior_rmse": 0.1}, CONTINUE)
        search = look_at(home, NAME)
    monkeypatch.setattr(time, "time", lambda: began + 100)
    assert search.seconds_left() == pytest.approx(200)
    with EventLog(home.confirmation_event_log(NAME)) as confirmations:
        confirmations.begin({})
        note_plan(confirmations, 2, 4000)
        confirmations.propose(0, {"trial": 0, "seed": 0})
        confirmations.start(0, "ray-0")
        confirmations.report(0, 1000, {"nmi": 0.6, "prior_rmse": 0.1}, CONTINUE)
    with EventLog(home.event_log(NAME)):
        search = look_at(home, NAME)
    assert search.seconds_left() == pytest.approx((2000 + 3000) * 100 / 2000), "what confirms the best counts as well"
    assert search.confirming == "confirmations: 0 of 2 ended"


# Trials of a person's own.


def run(engine: Engine, most: int = 99) -> list[Mapping[str, Any]]:
    """Drive the engine; the params of the trials that are new."""
    proposed = list[Mapping[str, Any]]()
    while len(proposed) < most and (trial := engine.propose()) is not None:
        proposed += [] if trial.reports else [trial.params]
        for step in [step for step in (500, 1000, 1500, 2000) if step > trial.checkpoint_step]:
            report = engine.report(trial.number, step, {"nmi": 0.1 + trial.number / 100, "prior_rmse": 0.2})
            engine.checkpointed(trial.number, "somewhere", step)
            if report.decision.action is not Action.CONTINUE:
                engine.carry_out(trial.number)
                break
    return proposed


def policy(home: Home) -> SearchPolicy:
    return SearchPolicy(SPEC, requests=added.TrialRequests(home.added_trials(NAME), SPEC.point))


def test_added_trial_is_the_next_one_of_a_search_that_runs_and_one_more(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with EventLog(home.event_log(NAME)) as event_log:
        begin(event_log)
        requests = added.TrialRequests(home.added_trials(NAME), SPEC.point)
        engine = Engine(SearchPolicy(SPEC, requests=requests), event_log)
        assert run(engine, most=1) == [{"lambda_1": 1.0, "tau": 0.5}], "the start point"
        for params in ({"lambda_1": 2.0, "tau": 0.25}, {"lambda_1": 2.5}):
            added.request_trial(home.added_trials(NAME), params)
        requests._look_at = 0.0
        engine.heartbeat()
        assert engine.policy.num_trials == 5
        second, third, *others = run(engine)
        assert second == {"lambda_1": 2.0, "tau": 0.25}
        assert third["lambda_1"] == 2.5 and 0.1 <= third["tau"] <= 1 and len(others) == 2
        assert engine.complete and len(event_log.trials) == 5
        run_again = Engine(policy(home), event_log)
        assert run_again.complete and run_again.policy.num_trials == 5, "no request is taken twice"


def test_trial_that_is_added_to_a_complete_search_waits_for_its_resume(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with EventLog(home.event_log(NAME)) as event_log:
        begin(event_log)
        note_begin(event_log, "search", "", "")
        run(Engine(policy(home), event_log))
        note_end(event_log, True, "")
    assert look_at(home, NAME).standing == "complete"
    point, number = add_trial(home, NAME, {"lambda_1": 2})
    assert (point, number) == ({"lambda_1": 2.0}, None)
    search = look_at(home, NAME)
    assert (search.standing, search.planned, list(search.waiting.values())) == ("stopped", 4, [{"lambda_1": 2.0}])
    assert "waits to be tried: lambda_1=2" in shown("status", NAME, "--home", home.path)
    with EventLog(home.event_log(NAME)) as event_log:
        (params,) = run(Engine(policy(home), event_log))
        assert params["lambda_1"] == 2.0 and len(event_log.trials) == 4
        note_end(event_log, True, "")
    assert look_at(home, NAME).standing == "complete"


def test_number_of_an_added_trial_outlives_a_kill_and_a_smaller_number_of_trials(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with EventLog(home.event_log(NAME)) as event_log:
        begin(event_log)
        run(Engine(policy(home), event_log))
        added.request_trial(home.added_trials(NAME), {"lambda_1": 2.0})
        Engine(policy(home), event_log)  # killed before it has proposed anything
        fewer = SPEC.model_copy(update={"trials": 1})
        (params,) = run(Engine(SearchPolicy(fewer), event_log))
        assert params["lambda_1"] == 2.0
    assert look_at(home, NAME).waiting == {}


def test_trial_that_no_trial_can_be_is_refused_and_asked_for_by_nobody(home: Home) -> None:
    with pytest.raises(ConfigError) as refused:
        add_trial(home, NAME, {"lambda_1": 17, "lambda_9": 1, "tau": "hot"})
    assert str(refused.value).splitlines() == [
        "a trial for digits: 3 problems",
        "  lambda_1: got 17; outside of search.lambda_1: loguniform [0.3, 3.0]",
        "  lambda_9: is not searched; did you mean 'lambda_1'?",
        "  tau: got 'hot'; must be a number",
    ]
    assert not home.added_trials(NAME).exists()
    with home.added_trials(NAME).open("w") as file:
        file.write(
            '{"id": "a", "params": {"lambda_1": 17}}\n7\n{"id": "b"}\n{"id": "c", "params": {"tau": 0.2}}\n{"id"'
        )
    with EventLog(home.event_log(NAME)) as event_log:
        Engine(policy(home), event_log)
        assert added.taken(event_log.notes) == {"c": 3}, "what is written there by hand is checked, too"


def test_comparison_takes_no_trials(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with EventLog(home.event_log(NAME)) as event_log:
        event_log.begin({"id": "f" * 32, "spec": {}, "winners": {}})
    with pytest.raises(ResultError, match="digits is a comparison, whose runs are fixed"):
        add_trial(home, NAME, {"tau": 0.2})
