"""One search, what is killed in it and when."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from agreement import assert_needed_checkpoints_are_there
from searches import fill, kill

from benchmarks.kills.place import Place
from benchmarks.kills.record import Record

PATIENCE = 300.0  # seconds until something has to happen, on a machine that has other things to do
_MOST_REPORTS = 6  # between two kills
_STARTING = 0.25  # share of what can strike while a driver starts that does


class StuckError(Exception):
    """The search does not go on, or ends as it must not."""


class History:
    """A search in a place of its own, in which one part after the other is killed.

    Args:
        name: of this search in the log.
        moments: decides what happens when.
    """

    def __init__(self, name: str, place: Place, record: Record, moments: random.Random) -> None:
        self._name, self._place, self._record, self._moments = name, place, record, moments
        self._driver = place.start()
        self._is_starting = True

    def run(self, kinds: Sequence[str]) -> list[str]:
        """Kill in this order, then let the search end; the kinds for which it was complete too early.

        Raises:
            StuckError: it does not go on.
            AssertionError: a checkpoint that is needed is not there.
        """
        left = list(kinds)
        try:
            while left and self._moment_for(left[0]):
                self._strike(left.pop(0))
            if self._wait_for_end() != 0:
                raise StuckError(f"it ended with exit code {self._driver.returncode}: {self._last_line()}")
        finally:
            if self._driver.poll() is None:
                kill(self._driver)
        return left

    def _moment_for(self, kind: str) -> bool:
        """Wait for a random moment; False when the search is complete before."""
        if kind == "MLflow":
            self._place.wait_for_server()  # from the kill before
        if self._is_starting and kind in ("driver", "MLflow") and self._moments.random() < _STARTING:
            time.sleep(self._moments.uniform(0, 8))
            return True
        until = self._place.reports() + self._moments.randint(1, _MOST_REPORTS)
        self._wait(lambda: self._place.reports() >= until)
        self._is_starting = False
        time.sleep(self._moments.uniform(0, 0.5))
        if kind in ("worker", "node"):
            self._wait(lambda: bool(self._workers()))
        return self._driver.poll() is None

    def _strike(self, kind: str) -> None:
        strikes: dict[str, Callable[[], str]] = {
            "driver": self._kill_driver,
            "worker": self._kill_worker,
            "node": self._kill_node,
            "MLflow": self._kill_server,
            "full disk": self._fill_disk,
        }
        when, at = self._place.progress(), time.monotonic()
        how = strikes[kind]()
        before = self._place.reports()
        self._wait(lambda: self._place.reports() > before, resumable=kind == "MLflow")
        seconds = time.monotonic() - at
        came = "goes on" if self._driver.poll() is None else "is complete"
        self._record.killed(kind, self._name, when, f"{how}; {came} after {seconds:.1f} s", seconds)

    def _kill_driver(self) -> str:
        kill(self._driver)
        self._resume()
        return "the driver, resumed"

    def _kill_worker(self) -> str:
        worker = self._moments.choice(self._workers())
        os.kill(worker, signal.SIGKILL)
        return f"a trial's process ({worker})"

    def _kill_node(self) -> str:
        self._place.kill_node()
        self._place.add_node()
        return "the node, another one has joined"

    def _kill_server(self) -> str:
        seconds = self._moments.uniform(1, 10)
        self._place.kill_server(seconds)
        return f"MLflow's server, started again after {seconds:.0f} s"

    def _fill_disk(self) -> str:
        which = self._moments.choice(list(self._place.disks))
        filler = fill(self._place.disks[which])
        try:
            ended = self._wait_for_end()
        finally:
            filler.unlink()
        if ended != 0:
            self._resume_after_message("No space left on device")
        return f"{which}, emptied, " + ("it had just ended" if ended == 0 else "halted with one line, resumed")

    def _resume_after_message(self, expected: str) -> None:
        """The search has halted as it should: with one line that says why, and how to go on."""
        message, code = self._last_line(), self._driver.returncode
        if code != 2 or not message.startswith("eig-tune: ") or expected not in message:
            raise StuckError(f"it ended with exit code {code}: {message}")
        self._resume()

    def _resume(self) -> None:
        assert_needed_checkpoints_are_there(self._place.left)
        self._driver = self._place.start()
        self._is_starting = True

    def _workers(self) -> list[int]:
        return self._place.trial_processes(self._driver.pid)

    def _wait_for_end(self) -> int:
        try:
            return self._driver.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise StuckError(f"it has not ended after {PATIENCE:.0f} s; {self._place.progress()}") from error

    def _wait(self, happened: Callable[[], bool], *, resumable: bool = False) -> None:
        """Return when something has happened, or the search is complete.

        Args:
            resumable: the search may halt since MLflow's server is away, and has to be resumed then.
        """
        end = time.monotonic() + PATIENCE
        while not happened() and self._driver.poll() != 0:
            if self._driver.poll() is not None:
                if not resumable:
                    raise StuckError(f"it ended with exit code {self._driver.returncode}: {self._last_line()}")
                self._resume_after_message("MLflow")
            if time.monotonic() > end:
                raise StuckError(f"nothing has happened for {PATIENCE:.0f} s; {self._place.progress()}")
            time.sleep(0.02)

    def _last_line(self) -> str:
        lines = self._place.log.read_text().strip().splitlines()
        return lines[-1] if lines else "(it has said nothing)"
