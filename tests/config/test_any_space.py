"""Whatever loads runs: random spaces of right and wrong pieces are refused in plain words, or searched to the end."""

import json
import random
from pathlib import Path

import pytest
from random_spaces import TRIALS, a_space

from eig_tune.cluster.gpu_memory import largest_runs
from eig_tune.config.conditions import exists
from eig_tune.config.space import SearchSpec, load_spec, parse_spec
from eig_tune.errors import ConfigError
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.trial import Trial
from eig_tune.reports.optuna_study import as_optuna
from eig_tune.reports.provenance import write_spec
from eig_tune.tracking.reader import _parsed

SEEDS, CASES = 8, 30  # 240 spaces


def search_through(spec: SearchSpec, event_log: EventLog) -> None:
    """All trials of a search, each of which reports at its first rung and pauses there."""
    policy = SearchPolicy(spec)
    for number in range(TRIALS):
        trial = event_log.propose(number, policy.propose(number))
        metrics = {"nmi": number / TRIALS, "prior_rmse": 0.5}
        decision = policy.decide(trial, 100, metrics)
        event_log.report(number, 100, metrics, decision)
        event_log.end(number, "stopped", decision.reason)


def check_trial(spec: SearchSpec, trial: Trial) -> None:
    run = spec.trial_config(trial.number, trial.params).flat()
    assert set(trial.params) == {name for name in spec.search if exists(spec.search[name], run)}
    for name, value in trial.params.items():
        assert run[name] == value
        assert type(value) is (int if spec.search[name].kind == "randint" else type(run[name])), (name, value)
        assert spec.search[name].inside(value) == value
    logged = {name: _parsed(str(value)) for name, value in trial.params.items()}
    assert repr(spec.point(logged)) == repr(dict(trial.params)), "MLflow gives back something else"
    assert as_optuna(trial, spec, spec.objectives).params == trial.params


@pytest.mark.parametrize("seed", range(SEEDS))
def test_space_is_refused_in_plain_words_or_searched_to_the_end(tmp_path: Path, seed: int) -> None:
    luck, loaded = random.Random(seed), 0
    for case in range(CASES):
        document = a_space(luck)
        try:
            spec = parse_spec(document, "space.yaml")
        except ConfigError as error:
            for problem in error.problems:
                assert problem.where.split(".")[0] in ("search", "start_from", "train"), (document, str(problem))
                assert problem.what and "\n" not in problem.what and len(problem.what) < 1000
            continue
        loaded += 1
        with EventLog(tmp_path / f"{case}.jsonl") as event_log:
            search_through(spec, event_log)
            proposed = dict(event_log.trials)
        with EventLog(tmp_path / f"{case}.jsonl") as read_again:
            assert repr(read_again.trials) == repr(proposed)
        for trial in proposed.values():
            check_trial(spec, trial)
        for point, trial in zip(spec.start_from, proposed.values(), strict=False):
            assert {name: trial.params[name] for name in point} == point, "a start point was not tried"
        assert largest_runs(spec)
        write_spec(spec, tmp_path)
        again = load_spec(tmp_path / "resolved_space.yaml")
        assert repr(again) == repr(spec)
        assert json.loads(json.dumps(again.model_dump(mode="json"))) == spec.model_dump(mode="json")
    assert CASES / 8 < loaded < CASES, "too few spaces load, or all"
