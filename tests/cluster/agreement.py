"""What a complete search has left agrees in every place: its two event logs, MLflow, the Optuna study, the storage."""

import json
import subprocess
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from checkpoint_rule import assert_checkpoints_are_where_they_belong, assert_only_the_best_keep_checkpoints
from mlflow.tracking import MlflowClient
from searches import (
    EIG_TUNE,
    NAME,
    assert_metrics_agree,
    assert_mlflow_has_every_report_once,
    assert_study_agrees,
    runs_of_kind,
    shown,
    trials_of,
)

from eig_tune.config.space import ConfirmSettings
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.trial import Trial

_ENDS = {"finished": "FINISHED", "stopped": "FINISHED", "collapsed": "FAILED", "failed": "FAILED"}


@dataclass(frozen=True)
class Left:
    """Where a search has left what it came to: home, MLflow store and checkpoints."""

    home: Path
    uri: str
    storage: Path

    def event_logs(self) -> list[Path]:
        """The files of its own event log and of its confirmations', in both rounds."""
        home = Home(self.home)
        files = home.event_log(NAME), home.second_seed_event_log(NAME), home.confirmation_event_log(NAME)
        return [file for file in files if file.is_file()]

    def second_seeds(self) -> dict[int, Trial]:
        """Runs of the finalists on a second seed."""
        with EventLog(Home(self.home).second_seed_event_log(NAME)) as event_log:
            counting = event_log.notes.get("compared", [])
            return {number: run for number, run in event_log.trials.items() if run.params["trial"] in counting}

    def confirmations(self) -> dict[int, Trial]:
        """Runs that have confirmed the best trials."""
        with EventLog(Home(self.home).confirmation_event_log(NAME)) as event_log:
            counting = event_log.notes.get("asked", {})
            return {number: run for number, run in event_log.trials.items() if str(run.params["trial"]) in counting}

    def further(self) -> list[Trial]:
        """All runs that are no trials, also those that were begun early and not needed in the end."""
        found = list[Trial]()
        for file in self.event_logs()[1:]:
            with EventLog(file) as event_log:
                found += event_log.trials.values()
        return found


def assert_all_agrees(left: Left, wanted: int, confirmed: int, report_every: int, rungs: Collection[int]) -> None:
    """Every wanted trial has ended once, nothing was done twice, and each place tells the same."""
    trials, second, confirmations = trials_of(left.home), left.second_seeds(), left.confirmations()
    assert list(trials) == list(range(wanted)), "a trial is missing, or there is one too many"
    finished = sum(trial.status == "finished" for trial in trials.values())
    finalists = ConfirmSettings(top=confirmed).finalists_of(finished)
    assert len({run.params["trial"] for run in second.values()}) == len(second) == finalists, "second seeds are missing"
    assert len(confirmations) == confirmed, "a confirmation is missing, or there is one too many"
    further = left.further()
    for trial in [*trials.values(), *further]:
        assert trial.status in ("finished", "stopped") and trial.reason, f"{trial.name}: {trial.status} {trial.reason}"
    for file in left.event_logs():
        assert_nothing_came_twice(file, report_every)
        events = [json.loads(line) for line in file.read_text().splitlines()]
        is_search = file == Home(left.home).event_log(NAME)
        assert_checkpoints_are_where_they_belong(events, rungs if is_search else ())
    assert_mlflow_has_every_report_once(left.home, trials, left.uri)
    assert_runs_are_over(left, trials, further)
    assert_confirmed_means_agree(left, confirmations)
    assert_study_agrees(left.home, trials)
    assert_only_the_best_keep_checkpoints(left.storage, trials.values(), further)


def assert_nothing_came_twice(event_log: Path, report_every: int) -> None:
    """One proposal, one end and no event after it; each report once, in order, and checkpoints behind them."""
    steps, kept, ended = dict[int, int](), Counter[int](), set[int]()
    for line in event_log.read_text().splitlines():
        event = json.loads(line)
        if "trial" not in event:
            continue
        number, at = event["trial"], f"{event_log.name}: {line[:120]}"
        assert number not in ended, f"after the trial's end: {at}"
        if event["event"] == "trial":
            assert number not in steps, f"proposed twice: {at}"
            steps[number] = 0
        elif event["event"] == "report":
            assert event["step"] == steps[number] + report_every, f"a report is doubled or missing: {at}"
            steps[number] = event["step"]
        elif event["event"] == "checkpoint":
            assert kept[number] <= event["step"] <= steps[number], f"a checkpoint of another time: {at}"
            kept[number] = event["step"]
        elif event["event"] == "end":
            ended.add(number)


def assert_runs_are_over(left: Left, trials: Mapping[int, Trial], further: Collection[Trial]) -> None:
    """MLflow has one run for the search, each trial and each further seed, and none of them runs any more."""
    client = MlflowClient(left.uri)
    (parent,) = runs_of_kind(client, "search")
    assert parent.info.status == "FINISHED", f"the search's run is {parent.info.status}"
    by_key = {str(number): trial for number, trial in trials.items()}
    by_key |= {f"{trial.params['trial']}.{trial.params['seed']}": trial for trial in further}
    below = [*runs_of_kind(client, "second-seed"), *runs_of_kind(client, "confirmation")]
    runs = [*runs_of_kind(client, "trial"), *below]
    assert Counter(run.data.tags["eig_tune.trial"] for run in runs) == Counter(by_key.keys())
    for run in runs:
        trial = by_key[run.data.tags["eig_tune.trial"]]
        assert run.info.status == _ENDS[trial.status], f"{trial.name} is {run.info.status} in MLflow"
        assert "eig_tune.ended" in run.data.tags, f"{trial.name}: something is lacking in MLflow"
        assert run.data.params == {name: str(value) for name, value in trial.params.items()}, trial.name
        assert run.data.tags["eig_tune.search_id"] == parent.data.tags["eig_tune.search_id"]
    for run in below:
        assert_metrics_agree(client, run, by_key[run.data.tags["eig_tune.trial"]])


def assert_confirmed_means_agree(left: Left, confirmations: Mapping[int, Trial]) -> None:
    """A confirmed trial's run has the means of its confirmations."""
    client = MlflowClient(left.uri)
    by_trial: dict[int, list[Mapping[str, float]]] = {}
    for confirmation in confirmations.values():
        assert confirmation.last is not None
        by_trial.setdefault(confirmation.params["trial"], []).append(confirmation.last.metrics)
    for run in runs_of_kind(client, "trial"):
        said = {name: value for name, value in run.data.metrics.items() if name.startswith("confirmed.")}
        reached = by_trial.get(int(run.data.tags["eig_tune.trial"]), [])
        assert bool(said) == bool(reached), f"confirmed by {len(reached)} runs, and MLflow has {said}"
        for name in reached[0] if reached else ():
            mean = np.mean([metrics[name] for metrics in reached])
            assert np.isclose(said[f"confirmed.{name}"], mean, rtol=1e-12), name


def assert_needed_checkpoints_are_there(left: Left) -> None:
    """Whatever was killed: the newest checkpoint of every trial that is to go on is whole."""
    for file in left.event_logs():
        with EventLog(file) as event_log:
            for trial in event_log.trials.values():
                if not trial.ended and trial.checkpoint is not None:
                    found = {path.name for path in Path(trial.checkpoint).iterdir()}
                    assert "state.safetensors" in found, f"{trial.name}: its checkpoint has only {sorted(found)}"


def assert_models_can_be_taken_home(left: Left, criteria: Collection[str], folder: Path) -> None:
    """Whichever trial `best` chooses, MLflow has its model."""
    for by in criteria:
        command = [str(EIG_TUNE), "best", "--name", NAME, "--home", str(left.home), "--tracking-uri", left.uri]
        done = subprocess.run(
            [*command, "--by", by, "--export", str(folder / by)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"best --by {by} --export: {done.stderr[-500:]}"
        assert (folder / by / "weights.safetensors").is_file()


def assert_same_results(left: Left, undisturbed: Left) -> None:
    """Every trial and confirmation has come to what it comes to when nothing happens, number by number."""
    for found, expected in (
        (shown(trials_of(left.home)), shown(trials_of(undisturbed.home))),
        (shown(left.second_seeds()), shown(undisturbed.second_seeds())),
        (shown(left.confirmations()), shown(undisturbed.confirmations())),
    ):
        for number, trial in expected.items():
            assert found[number] == trial, _difference(number, found[number], trial)
        assert found.keys() == expected.keys()


def _difference(number: int, found: Any, expected: Any) -> str:
    """The first step at which two courses of a trial part."""
    if found[:3] != expected[:3]:
        return f"trial {number}: is {found[:3]}, undisturbed {expected[:3]}"
    steps = sorted(found[3].keys() | expected[3].keys())
    step = next(step for step in steps if found[3].get(step) != expected[3].get(step))
    return f"trial {number}, step {step}: is {found[3].get(step)}, undisturbed {expected[3].get(step)}"
