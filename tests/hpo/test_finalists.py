"""Second and fresh seeds in slots that a search leaves idle: what is begun when, and that it changes nothing else."""

import random
from collections.abc import Mapping
from itertools import islice
from typing import Any

import pytest

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.candidates import candidates_of
from eig_tune.hpo.confirmations import note_compared, note_complete, second_seeds, summaries
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.finalists import Finalists
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.selection import to_confirm
from eig_tune.hpo.simulation import simulate
from eig_tune.hpo.stages import Stage, Stages
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Action, stop
from eig_tune.hpo.wanted_runs import WantedRuns

STEPS = (500, 1000, 1500, 2000)


def space(trials: int = 12, **confirm: int) -> SearchSpec:
    return parse_spec(
        {
            "dataset": {"name": "digits"},
            "train": {"steps": STEPS[-1], "report_every": 500},
            "asha": {"grace": 500},
            "search": {"lambda_1": {"loguniform": [0.3, 3]}},
            "objectives": {"nmi": "maximize", "prior_rmse": "minimize"},
            "confirm": {"finalists": 3, "top": 1, "seeds": 2, **confirm},
            "sampler": "random",
            "trials": trials,
        },
        "test",
    )


class World:
    """A search with its confirmation, in memory; what its runs reach is luck, and depends on trial and seed alone."""

    def __init__(self, spec: SearchSpec, luck: int = 0) -> None:
        self.luck = luck
        self.search, self.second, self.fresh = SearchState(), SearchState(), SearchState()
        self.begun_early: list[Mapping[str, Any]] = []
        self.extend(spec)

    def restart(self) -> None:
        """As a process does that goes on: all but the events is made anew."""
        of, spec = self.finalists, self.spec
        self.engines = (
            Engine(SearchPolicy(spec), self.search),
            Engine(WantedRuns(spec, self.second, of.second_runs, of.search_ended), self.second),
            Engine(WantedRuns(spec, self.fresh, of.fresh_runs, of.second_seeds_ended), self.fresh),
        )
        told = (
            lambda: None,
            lambda: note_compared(self.second, of.numbers()),
            lambda: note_complete(self.fresh, of.chosen(), spec.confirm.seeds),
        )
        self.stages = Stages([Stage(engine, on_complete=on) for engine, on in zip(self.engines, told, strict=True)])

    def extend(self, spec: SearchSpec) -> None:
        """As a resume does with another space."""
        self.spec = spec
        self.finalists = Finalists(spec, self.search, lambda: spec.trials, self.second, has_second_seeds=True)
        self.restart()

    def run(self, slots: int, most_reports: int | None = None) -> int:
        """Until there is nothing left to run, or so many reports; how long it takes, in steps."""
        running: dict[int, tuple[Engine, int]] = {}

        def propose() -> int | None:
            found = self.stages.propose()
            if found is None:
                return None
            stage, trial = found
            key = self.engines.index(stage.engine) * 1000 + trial.number
            running[key] = stage.engine, trial.number
            if stage.engine is not self.engines[0] and not self.finalists.search_ended():
                self.begun_early.append(trial.params)
            return key

        def goes_on(key: int, step: int) -> bool:
            engine, number = running[key]
            if engine.report(number, step, self._reached(engine, number, step)).decision.action is Action.CONTINUE:
                return True
            engine.checkpointed(number, "", step)
            engine.carry_out(number)
            return False

        return max((at.now for at in islice(simulate(propose, goes_on, STEPS, slots), most_reports)), default=0)

    def _reached(self, engine: Engine, number: int, step: int) -> dict[str, float]:
        params = engine.state.trials[number].params
        trial, seed = params.get("trial", number), params.get("seed", "own")
        true, noise = random.Random(f"{self.luck}/{trial}").random(), random.Random(f"{self.luck}/{trial}/{seed}")
        return {"nmi": 0.8 * true * step / STEPS[-1] + 0.2 * noise.random(), "prior_rmse": 0.3 - 0.2 * true}


def finish(state: SearchState, params: Mapping[str, Any], nmi: float) -> None:
    """A run that has reached ``nmi``."""
    number = len(state.trials)
    state.propose(number, params)
    state.report(number, STEPS[-1], {"nmi": nmi, "prior_rmse": 0.1}, stop("finished", ""))
    state.checkpoint(number, "", STEPS[-1])
    state.end(number, "finished", "full budget")


def test_finalists_are_known_as_far_as_trials_have_finished_and_for_sure_at_the_end() -> None:
    world = World(space(trials=5))
    finalists = world.finalists
    finish(world.search, {}, 0.5)
    assert finalists.numbers() == [], "one is to be confirmed, and of one trial a second seed decides nothing"
    world.search.propose(1, {})
    assert finalists.numbers() == [0], "that other trial may finish"
    world.search.end(1, "stopped", "")
    assert finalists.numbers() == []
    for nmi in (0.4, 0.3):
        finish(world.search, {}, nmi)
    assert finalists.numbers() == [0, 2, 3] and not finalists.search_ended()
    finish(world.search, {}, 0.9)
    assert finalists.numbers() == [4, 0, 2] and finalists.search_ended()


def test_fresh_seeds_begin_when_most_of_the_finalists_are_known() -> None:
    world = World(space(trials=4))
    for nmi in (0.5, 0.4, 0.3):
        finish(world.search, {}, nmi)
    finish(world.second, {"trial": 1, "seed": "second"}, 0.8)
    assert world.finalists.fresh_runs() == [], "one of three"
    finish(world.second, {"trial": 0, "seed": "second"}, 0.5)
    assert world.finalists.fresh_runs() == [{"trial": 1, "seed": 0}, {"trial": 1, "seed": 1}]
    finish(world.search, {}, 0.9)
    assert world.finalists.numbers() == [3, 0, 1] and not world.finalists.second_seeds_ended()
    finish(world.second, {"trial": 3, "seed": "second"}, 0.9)
    assert world.finalists.second_seeds_ended() and world.finalists.chosen() == [3]


def test_what_is_wanted_no_more_gives_its_slot_back_and_goes_on_if_it_is_wanted_again() -> None:
    spec, state, wanted, settled = space(), SearchState(), [{"trial": 1}, {"trial": 2}], False
    engine = Engine(WantedRuns(spec, state, lambda: wanted, lambda: settled), state)
    metrics = {"nmi": 0.5, "prior_rmse": 0.1}

    def reported(number: int, step: int) -> str:
        report = engine.report(number, step, metrics)
        if report.decision.action is not Action.CONTINUE:
            engine.checkpointed(number, "", step)
            engine.carry_out(number)
        return state.trials[number].status

    assert [trial and trial.params for trial in (engine.propose(), engine.propose(), engine.propose())] == [
        *wanted,
        None,
    ]
    wanted = [{"trial": 2}]
    assert (reported(0, 500), reported(1, 500)) == ("paused", "running")
    assert engine.propose() is None and not engine.complete
    wanted = [{"trial": 2}, {"trial": 1}]
    assert (resumed := engine.propose()) is not None and resumed.number == 0
    wanted = [{"trial": 2}]
    assert reported(0, 1000) == "paused" and reported(1, 2000) == "finished"
    assert engine.propose() is None and shown(state) == ["paused", "finished"], "it may be wanted again"
    settled = True
    assert engine.propose() is None
    assert shown(state) == ["stopped", "finished"] and "others" in state.trials[0].reason and engine.complete


def shown(state: SearchState) -> list[str]:
    return [trial.status for trial in state.trials.values()]


def test_a_search_that_goes_on_takes_precedence_over_what_may_be_needed_later() -> None:
    world = World(space())
    first, second = Engine(SearchPolicy(world.spec), world.search), Engine(SearchPolicy(space(trials=2)), world.second)
    told = list[str]()
    stages = Stages([
        Stage(first, on_complete=lambda: told.append("first")),
        Stage(second, lambda: bool(told or len(world.search.trials) >= 12), lambda: told.append("second")),
    ])  # fmt: skip
    proposed = [stages.propose() for _ in range(15)]
    assert [found and found[0].engine for found in proposed] == [*[first] * 12, *[second] * 2, None]
    for engine, state in ((second, world.second), (first, world.search)):
        for trial in state.trials.values():
            engine.fail(trial.number, "test")
        assert stages.complete() == (engine is first)
    assert told == ["first", "second"], "the second had ended before"


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_the_same_trials_are_confirmed_as_without_any_hurry(slots: int) -> None:
    """By the rule of one round after the other, on what the search has come to."""
    early = 0
    for luck in range(30):
        world = World(space(), luck)
        world.run(slots)
        assert world.stages.complete()
        assert_right(world)
        early += bool(world.begun_early)
    assert early == 0 if slots == 1 else early > 10


def test_extended_search_trains_what_was_begun_early_before_and_not_needed_then() -> None:
    trained_again = 0
    for luck in range(30):
        world = World(space(), luck)
        world.run(5)
        spare = [run for run in world.second.trials.values() if run.status == "stopped"]
        world.extend(space(trials=14, finalists=6, top=2))
        world.run(5)
        assert world.stages.complete()
        assert_right(world)
        trained_again += sum(run.status == "finished" for run in spare)
    assert trained_again > 0


def assert_right(world: World) -> None:
    confirm, finished = world.spec.confirm, candidates_of(world.search.trials.values())
    number = confirm.finalists_of(len(finished))
    finalists = {each.number for each in to_confirm(finished, world.spec.objectives, {}, number)}
    reached = second_seeds(world.second)
    assert reached.keys() == finalists
    by_both = candidates_of(world.search.trials.values(), second=reached)
    chosen = {each.number for each in to_confirm(by_both, world.spec.objectives, {}, confirm.top)}
    counting = summaries(world.fresh, confirm.seeds)
    assert {each.trial for each in counting} == chosen and all(each.complete for each in counting)
    for state in (world.second, world.fresh):
        params = [str(run.params) for run in state.trials.values()]
        assert len(set(params)) == len(params), "a run is doubled"
        assert {run.status for run in state.trials.values()} <= {"finished", "stopped"}


def test_two_slots_lose_less_than_half_as_much_time_as_one_round_after_the_other() -> None:
    beside = after = needed = 0
    for luck in range(20):
        world, apart = World(space(), luck), World(space(), luck)
        beside += 2 * world.run(2)
        for engine in apart.engines:
            apart.stages = Stages([Stage(engine)])
            after += 2 * apart.run(2)
            if apart.finalists.second_seeds_ended():
                note_compared(apart.second, apart.finalists.numbers())
        needed += sum(max(run.reports) for engine in apart.engines for run in engine.state.trials.values())
    assert needed < beside < needed + 0.5 * (after - needed)


@pytest.mark.parametrize("slots", [2, 5])
def test_killed_at_any_report_it_comes_to_the_same_end_and_repeats_no_run(slots: int) -> None:
    chance, lives = random.Random(slots), 0
    for luck in range(20):
        world = World(space(), luck)
        while not world.stages.complete():
            states = (world.search, world.second, world.fresh)
            ended = [run for state in states for run in state.trials.values() if run.ended]
            before = [(run.status, run.newest_event) for run in ended]
            world.run(slots, chance.randint(4, 30))
            world.restart()
            lives += 1
            assert lives < 1000
            assert [(run.status, run.newest_event) for run in ended] == before
        assert_right(world)
    assert lives > 60
