"""Exit codes of a command whose work may not be done, and the commands that it prints to be pasted."""

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest
import typer

from eig_tune.cli.app import main
from eig_tune.cli.ending import end
from eig_tune.cli.hints import command, resumed
from eig_tune.stopping import Interrupted, Stop


def test_done_ends_as_any_command_and_a_budget_with_exit_code_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/eig-tune", "search", "--space", "my space.yaml"])
    end(Stop(), "")
    assert capsys.readouterr() == ("", "")
    with pytest.raises(typer.Exit) as stopped:
        end(Stop(0.0), "the time budget is over")
    assert stopped.value.exit_code == 3
    assert capsys.readouterr() == ("", "go on with: eig-tune search --space 'my space.yaml' --resume\n")


def test_signal_ends_with_its_exit_code_also_when_the_time_is_over() -> None:
    with Stop(0.0).listening() as stop, stop.gently():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        with pytest.raises(Interrupted) as interrupted:
            end(stop, stop.reason)
    assert interrupted.value.exit_code == 130


def test_budget_that_is_over_before_the_first_trial_is_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("eig_tune.cli.app.app", Stop(0.0).check)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert capfd.readouterr().err.startswith("eig-tune: --time-budget: it was over before the first trial could begin")


def test_hint_finds_the_same_searches_and_can_be_pasted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EIG_TUNE_HOME", raising=False)
    assert command("best", "--name", "digits", home=tmp_path / "eig-runs") == "eig-tune best --name digits"
    elsewhere, uri = tmp_path / "it's here", "sqlite:////a b.db"
    hint = command("best", "--name", "a $b", home=elsewhere, tracking_uri=uri)
    expected = ["eig-tune", "best", "--name", "a $b", "--home", str(elsewhere), "--tracking-uri", uri]
    assert shlex.split(hint) == expected
    monkeypatch.setenv("EIG_TUNE_HOME", str(elsewhere))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert command("list", home=elsewhere, tracking_uri=uri) == "eig-tune list"


def test_command_that_went_on_already_names_resume_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["eig-tune", "compare", "--resume", "--space", "s.yaml"])
    assert resumed() == "eig-tune compare --space s.yaml --resume"
