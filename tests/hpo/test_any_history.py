"""An engine among slots, workers, a clock and a storage to which anything may happen at any time."""

import json
import random
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from checkpoint_rule import assert_checkpoints_are_where_they_belong
from small_search import LOST, STEPS, measured, spec

from eig_tune.cluster.moved_checkpoints import find_checkpoints
from eig_tune.cluster.storage import Storage
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import Action
from eig_tune.training.checkpoint import RUN_FILE

UNREADABLE = "its storage could not be read"
AILING = {7: {"discriminator_loss": 0.0}, 4: {"nmi": float("nan")}}  # two that are promoted


class Cluster:
    """Slots in which anything may happen at any time: workers are lost, the clock is set, the storage cannot be
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
        if self._engine.needs_checkpoint(number, step):
            self._keep(number, step)
        if decision.action is not Action.CONTINUE:
            self._engine.carry_out(number)
            del self._running[number]

    def _keep(self, number: int, step: int) -> None:
        written = self.path.parent / f"ray/{number}/{step}"
        written.mkdir(parents=True, exist_ok=True)
        (written / RUN_FILE).touch()
        older = self._engine.checkpointed(number, str(written), step)
        if older is not None and older != str(written):
            shutil.rmtree(older)

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
    assert_no_trial_is_sent_back_and_no_report_comes_twice(events)
    assert_reasons_were_true(events)
    assert_checkpoints_are_where_they_belong(events, spec().rungs())


def assert_no_trial_is_sent_back_and_no_report_comes_twice(events: Sequence[dict[str, Any]]) -> None:
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
