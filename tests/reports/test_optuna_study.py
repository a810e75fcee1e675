"""The study that Optuna's tools open has every ended trial with its state."""

import errno
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow_server import free_port
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from eig_tune.config.constraints import Bound
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import Action
from eig_tune.reports.optuna_study import StudyFile

SPEC = parse_spec(
    {
        "dataset": {"name": "digits"},
        "train": {"steps": 1000, "report_every": 500},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}, "distance": {"choice": ["l2", "nt_xent"]}},
        "trials": 12,
    },
    "test",
)


BOUND = SPEC.model_copy(update={"constraints": {"nmi": Bound.parse(">= 0.5"), "prior_rmse": Bound.parse("<= 0.2")}})


def study_file(folder: Path, spec: SearchSpec = SPEC) -> StudyFile:
    return StudyFile(folder / "optuna.log", "mine", spec)


def load(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="mine", storage=JournalStorage(JournalFileBackend(str(folder / "optuna.log"))))


def run(folder: Path, most: int = 100, spec: SearchSpec = SPEC) -> dict[int, tuple[str, str]]:
    """Status and reason of every trial; trial 3 collapses, trial 5 crashes."""
    with EventLog(folder / "events.jsonl") as event_log:
        study = study_file(folder, spec)
        engine = Engine(SearchPolicy(spec), event_log, [study])
        study.catch_up(event_log.trials)
        while most and (trial := engine.propose("ray-17")) is not None:
            most -= 1
            if trial.number == 5:
                engine.fail(5, "the worker was lost")
                continue
            health = {"discriminator_loss": 0.0 if trial.number == 3 else 0.5}
            for step in (500, 1000):
                quality = {"nmi": (trial.number * 7 % 10) / 10, "prior_rmse": 0.1}
                decision = engine.report(trial.number, step, {**quality, **health}).decision
                engine.checkpointed(trial.number, "somewhere", step)
                if decision.action is not Action.CONTINUE:
                    break
            engine.carry_out(trial.number)
        return {number: (trial.status, trial.reason) for number, trial in event_log.trials.items()}


def test_every_trial_is_in_the_study_with_its_state(tmp_path: Path) -> None:
    ended = run(tmp_path)
    states = {"finished": "COMPLETE", "stopped": "PRUNED", "collapsed": "FAIL", "failed": "FAIL"}
    trials = load(tmp_path).trials
    states_of = {trial.user_attrs["trial"]: (trial.state.name, trial.user_attrs["stop_reason"]) for trial in trials}
    assert states_of == {number: (states[status], reason) for number, (status, reason) in ended.items()}
    assert {status for status, _ in ended.values()} == set(states)
    assert {trial.user_attrs["ray_trial_id"] for trial in trials} == {"ray-17"}
    rungs = {trial.state.name: trial.user_attrs["rung"] for trial in trials}
    assert (rungs["COMPLETE"], rungs["PRUNED"], rungs["FAIL"]) == (500, 500, None)
    assert load(tmp_path).metric_names == ["nmi", "prior_rmse"]


@pytest.mark.parametrize(
    "change",
    [
        {"search": {"lambda_1": {"loguniform": [3, 9]}, "distance": {"choice": ["js", "l2"]}}},
        {"search": {"lambda_1": {"uniform": [0.3, 2]}}},
        {"objectives": {"prior_rmse": "minimize"}},
        {"train": {"steps": 2000, "report_every": 500}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_study_is_made_anew_where_the_search_goes_on_with_another_space(tmp_path: Path, change: dict[str, Any]) -> None:
    ended = run(tmp_path)
    document = SPEC.model_dump(mode="json", exclude_none=True)
    spec = parse_spec({**document, **change}, "changed")
    run(tmp_path, 0, spec)
    study = load(tmp_path)
    assert [trial.user_attrs["trial"] for trial in study.trials] == sorted(ended)
    assert study.metric_names == list(spec.objectives)
    for trial in study.trials:
        assert trial.params.keys() <= spec.search.keys()
        for name, value in trial.params.items():
            known = trial.distributions[name]
            assert known._contains(known.to_internal_repr(value))
    study_file(tmp_path, spec)
    assert len(load(tmp_path).trials) == len(ended), "once"


def test_front_of_the_study_is_of_finished_trials_alone(tmp_path: Path) -> None:
    run(tmp_path)
    best = load(tmp_path).best_trials
    assert best and all(trial.state == TrialState.COMPLETE for trial in best)


def test_trials_have_their_constraints_and_the_front_is_of_those_that_meet_them(tmp_path: Path) -> None:
    run(tmp_path, spec=BOUND)
    study = load(tmp_path)
    assert study.user_attrs["constraints"] == {"nmi": ">= 0.5", "prior_rmse": "<= 0.2"}
    for trial in study.trials:
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            reached = trial.user_attrs["reached.nmi"]
            assert trial.system_attrs["constraints"] == pytest.approx([0.5 - reached, -0.1])
        else:
            assert "constraints" not in trial.system_attrs
    assert study.best_trials and all(trial.values[0] >= 0.5 for trial in study.best_trials)


def test_study_of_a_search_whose_constraints_have_changed_is_written_anew(tmp_path: Path) -> None:
    for spec, constraints in ((SPEC, 0), (BOUND, 2), (BOUND, 2), (SPEC, 0)):
        run(tmp_path, spec=spec)
        trials = load(tmp_path).trials
        assert sorted(trial.user_attrs["trial"] for trial in trials) == list(range(12))
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        assert complete
        assert {len(trial.system_attrs.get("constraints", [])) for trial in complete} == {constraints}


@pytest.mark.parametrize("torn", ["", '{"op_code": 4, "wor'])
def test_study_of_a_killed_search_has_every_trial_once(tmp_path: Path, torn: str) -> None:
    run(tmp_path, most=4)
    file = tmp_path / "optuna.log"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]) + torn)  # the last trial had ended, but was not in the study yet
    (tmp_path / "optuna.log.lock").symlink_to(file)  # the killed writer held the lock
    run(tmp_path)
    assert sorted(trial.user_attrs["trial"] for trial in load(tmp_path).trials) == list(range(12))


def test_no_room_for_the_lock_halts_the_search_and_a_resume_adds_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with EventLog(tmp_path / "events.jsonl") as event_log:
        engine = Engine(SearchPolicy(SPEC), event_log, [study_file(tmp_path)])
        engine.propose()
        monkeypatch.setattr(os, "symlink", full)  # how Optuna locks its file
        engine.fail(0, "the worker was lost")
        monkeypatch.undo()
        assert engine.halted is not None and "No space left on device" in engine.halted
    run(tmp_path)
    assert len(load(tmp_path).trials) == 12


def asked(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=5) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_optuna_dashboard_opens_it(tmp_path: Path) -> None:
    ended = run(tmp_path, spec=BOUND)
    port = free_port()
    command = [str(Path(sys.executable).with_name("optuna-dashboard")), str(tmp_path / "optuna.log")]
    address, end = f"http://127.0.0.1:{port}/api/studies", time.monotonic() + 60
    with subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.DEVNULL) as dashboard:
        try:
            while True:
                try:
                    (study,) = asked(address)["study_summaries"]
                    break
                except OSError:
                    assert dashboard.poll() is None and time.monotonic() < end
                    time.sleep(0.2)
            trials = asked(f"{address}/{study['study_id']}?after=0")["trials"]
        finally:
            dashboard.kill()
    assert study["study_name"] == "mine"
    assert [trial["state"] for trial in trials].count("Complete") == [s for s, _ in ended.values()].count("finished")
    assert len(trials) == len(ended)
    assert {len(trial["constraints"]) for trial in trials if trial["state"] == "Complete"} == {2}, (
        "it shows feasibility"
    )
