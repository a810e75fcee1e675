"""What of a search's trials is carried over to another space, and to more steps."""

from typing import Any

import pytest

from eig_tune.config.distributions import Distribution
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.carried import as_searched_now, ended_before, reopen_finished, reports_without
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.sampler import OptunaSampler
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Action, pause, stop

FIXED = {"lambda_1": 1.0, "lambda_2": 10.0, "tau": 0.1, "distance": "nt_xent"}


def space(**entries: dict[str, Any]) -> dict[str, Distribution]:
    return {name: Distribution.model_validate(entry).for_field(name) for name, entry in entries.items()}


@pytest.mark.parametrize(
    ("params", "now"),
    [
        ({"lambda_1": 2.0}, {"lambda_1": 2.0}),
        ({"lambda_1": 4.0}, None),  # outside
        ({"lambda_1": 2.0, "lambda_2": 10.0}, {"lambda_1": 2.0}),  # is not searched any more, and fixed at that value
        ({"lambda_1": 2.0, "lambda_2": 11.0}, None),  # and at another one
        ({}, {"lambda_1": 1.0}),  # was not searched before, and fixed
    ],
)
def test_params_are_those_of_the_space_or_none(params: dict[str, Any], now: dict[str, Any] | None) -> None:
    assert as_searched_now(params, space(lambda_1={"uniform": [0.5, 3]}), FIXED) == now


def test_value_that_was_fixed_outside_of_the_new_range_is_none_of_it() -> None:
    assert as_searched_now({}, space(lambda_2={"uniform": [20, 30]}), FIXED) is None


def test_conditional_param_may_be_missing() -> None:
    searched = space(
        lambda_1={"uniform": [0.5, 3]}, nt_xent_temperature={"uniform": [0.5, 2], "when": {"distance": "l2"}}
    )
    assert as_searched_now({"lambda_1": 2.0}, searched, {**FIXED, "nt_xent_temperature": 1.0}) == {"lambda_1": 2.0}


def test_sampler_learns_from_what_lies_inside_alone() -> None:
    def spec(low: float, high: float) -> SearchSpec:
        search = {"lambda_1": {"uniform": [low, high]}}
        return parse_spec({"dataset": {"name": "digits"}, "search": search, "train": {"steps": 2000}}, "test")

    sampler, inside = OptunaSampler(spec(5, 6)), OptunaSampler(spec(5, 6))
    for number in range(20):
        sampler.observe(number, 2000, {"lambda_1": 1 + number % 3}, (0.1 * number, 0.0))
    for each in (sampler, inside):
        for number in range(20, 30):
            each.observe(number, 2000, {"lambda_1": 5 + (number - 20) / 10}, (0.1, 0.2))
    assert sampler.propose(30) == inside.propose(30)


def searched() -> SearchState:
    """Trial 0 has finished at step 1000, trial 1 was stopped, trial 2 waits."""
    state = SearchState()
    for number, decision in enumerate((stop("finished", "full budget"), stop("stopped", "worse"), pause("waits"))):
        state.propose(number, {"lambda_1": float(number)})
        state.report(number, 500, {"nmi": 0.1}, pause("waits"))
        state.report(number, 1000, {"nmi": 0.5, "prior_rmse": 0.1}, decision)
        state.checkpoint(number, f"here/{number}", 1000)
    state.end(0, "finished", "full budget of 1000 steps")
    state.end(1, "stopped", "worse")
    state.pause(2)
    return state


@pytest.mark.parametrize("is_there", [False, True])
def test_finished_trial_waits_again_with_its_checkpoint_if_that_is_there(is_there: bool) -> None:
    state, present = searched(), {"here/0"} if is_there else set[str]()
    assert [trial.number for trial in reopen_finished(state, 3000, present)] == [0]
    trial = state.trials[0]
    assert (trial.status, trial.ended, trial.paused_at, trial.reason) == ("paused", False, 1000, "")
    assert (trial.checkpoint, trial.checkpoint_step) == (("here/0", 1000) if is_there else (None, 0))
    assert [t.status for t in state.trials.values()] == ["paused", "stopped", "paused"]
    assert reopen_finished(state, 3000, present) == [], "once"
    assert [ended_before(t, 3000) for t in state.trials.values()] == [True, False, False]
    assert not any(ended_before(t, 1000) for t in state.trials.values())


def test_nothing_is_reopened_by_the_steps_that_there_were() -> None:
    assert reopen_finished(searched(), 1000, ()) == []


def test_reports_that_lack_a_metric_are_counted() -> None:
    state = searched()
    assert (reports_without(state, "nmi"), reports_without(state, "prior_rmse")) == (0, 3)


def test_trial_that_begins_anew_passes_the_step_at_which_it_had_finished() -> None:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 1000, "report_every": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "asha": {"grace": 500},
        "trials": 1,
    }
    state = SearchState()

    def train(steps: int) -> Engine:
        spec = parse_spec({**document, "train": {"steps": steps, "report_every": 500}}, "test")
        engine = Engine(SearchPolicy(spec), state)
        trial = engine.propose()
        assert trial is not None and trial.number == 0
        for step in range(trial.checkpoint_step + 500, steps + 1, 500):
            decision = engine.report(0, step, {"nmi": step / 5000, "prior_rmse": 0.1}).decision
            assert (decision.action is Action.STOP) == (step == steps)
            engine.checkpointed(0, "here", step)
        engine.carry_out(0)
        return engine

    assert train(1000).complete
    reopen_finished(state, 2500, ())
    assert train(2500).complete
    assert sorted(state.trials[0].reports) == [500, 1000, 1500, 2000, 2500]
    assert state.trials[0].status == "finished"
