"""Signals and time: once is a gentle end, twice one at once, and what was ignored stays ignored."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eig_tune.stopping import Interrupted, Stop, StoppedError

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# What a driver does, in small: it is gentle for the rest of its life, and says when it is asked to end.
GENTLE = """
import sys, time
from eig_tune.stopping import Stop
with Stop().listening() as stop, stop.gently():
    print("ready", flush=True)
    while not stop.asked:
        time.sleep(0.01)
    print(stop.reason, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_raised_where_nothing_needs_to_be_kept(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as interrupted, Stop().listening():
        os.kill(os.getpid(), number)
        time.sleep(1)
    assert interrupted.value.exit_code == 128 + number
    assert str(interrupted.value) == f"interrupted by {number.name}"


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_noted_where_it_shall_be_gentle_and_found_when_asked_for(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stop().listening() as stop:
        assert not stop.asked and stop.patience == 180
        with stop.gently():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)  # as `timeout` does, to the process and to its group
            time.sleep(0.01)
            assert stop.asked and stop.signal == number and stop.patience == 10
            with pytest.raises(Interrupted):
                stop.check()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", GENTLE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"interrupted by {number.name}\n"
        time.sleep(0.6)
        process.send_signal(number)
        assert process.wait(timeout=10) == 128 + number


def test_signals_that_the_shell_lets_us_ignore_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    try:
        with Stop().listening() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
            assert stop.signal is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_budget_counts_the_seconds_that_go_by_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    stop = Stop(20)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    stop.check()
    monkeypatch.setattr(time, "monotonic", lambda: now + 30)
    assert stop.asked and stop.reason == "the time budget is over" and stop.patience == 60
    with pytest.raises(StoppedError, match="--time-budget: it was over before the first trial could begin"):
        stop.check()
    assert not Stop().asked


def test_library_that_takes_a_signal_for_itself_gives_it_back() -> None:
    with Stop().listening() as stop, stop.gently():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray does when it starts
        stop.listen()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert stop.signal == signal.SIGTERM


def test_signal_in_the_middle_of_an_import_is_one_line_and_no_half_import(tmp_path: Path) -> None:
    """NumPy, half-imported, hid it behind an error of its own; PyTorch aborted."""
    (tmp_path / "catching.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGTERM)\nexcept BaseException as error:\n"
        "    raise ImportError('half-imported') from error\n"
    )
    program = "from eig_tune.stopping import Stop\nStop().listen()\nimport catching"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (
        143,
        "eig-tune: interrupted by SIGTERM; a search, comparison or run goes on with --resume\n",
    )
