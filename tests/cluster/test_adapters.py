"""When Ray's run ends: by an exception of the callback, after which Ray writes no snapshot of all trials."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from eig_tune.cluster.adapters import AllTrialsEndedError, EngineCallback
from eig_tune.cluster.storage import Storage
from eig_tune.config.space import parse_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.stages import Stage, Stages
from eig_tune.hpo.state import SearchState
from eig_tune.stopping import Stop

DOCUMENT = {
    "dataset": {"name": "digits"},
    "train": {"steps": 1000, "report_every": 500},
    "asha": {"grace": 500},
    "search": {"lambda_1": {"loguniform": [0.3, 3]}},
    "trials": 1,
}
ENDED, RUNNING = SimpleNamespace(is_finished=lambda: True), SimpleNamespace(is_finished=lambda: False)


def callback(engine: Engine, folder: Path, stop: Stop) -> EngineCallback:
    stages, no_searcher = Stages([Stage(engine)]), SimpleNamespace(trials={})
    return EngineCallback(stages, no_searcher, Storage(str(folder)), "cpu", stop)  # type: ignore[arg-type]


def test_run_ends_with_its_last_trial_and_no_earlier(tmp_path: Path) -> None:
    engine = Engine(SearchPolicy(parse_spec(DOCUMENT, "test")), SearchState())
    asked = callback(engine, tmp_path, Stop())
    asked.on_step_end(0, [])
    assert engine.propose("r0") is not None
    asked.on_step_end(0, [RUNNING])
    for step in (500, 1000):
        engine.report(0, step, {"nmi": 0.5, "prior_rmse": 0.1})
    engine.checkpointed(0, "somewhere", 1000)
    asked.on_step_end(0, [ENDED])  # to Ray it has ended, the engine has not been told
    engine.carry_out(0)
    asked.on_step_end(0, [RUNNING])
    with pytest.raises(AllTrialsEndedError):
        asked.on_step_end(0, [ENDED])


def test_interrupted_run_ends_when_all_its_trials_have(tmp_path: Path) -> None:
    engine = Engine(SearchPolicy(parse_spec(DOCUMENT, "test")), SearchState())
    assert engine.propose("r0") is not None
    asked = callback(engine, tmp_path, Stop(seconds=-1.0))
    asked.on_step_end(0, [ENDED, RUNNING])
    with pytest.raises(AllTrialsEndedError):
        asked.on_step_end(0, [ENDED, ENDED])
