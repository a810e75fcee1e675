"""A search goes on with more steps, other ranges, another sampler and seed, or other objectives; nothing of it is lost.

Everything is real but Ray and the training.
"""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from logged import logged
from one_process import KilledError, Life, OneProcess
from untrained import make_quick, make_store
from world import EVERY, SPEC, STEPS, TRIALS

from eig_tune.cluster.tuner import TrialSpec
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.data import ImageData
from eig_tune.errors import ConfigError
from eig_tune.home import Home
from eig_tune.hpo.event_log import read_state
from eig_tune.hpo.state import SearchState
from eig_tune.reports.outcomes import SearchOutcome
from eig_tune.tracking import TrackedSearch, read_search
from eig_tune.training import TrainConfig
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.search import run_search
from eig_tune.workflows.view import View

MORE = 3 * STEPS
SLOTS = 2


def changed(**sections: Any) -> SearchSpec:
    document = SPEC.model_dump(mode="json", exclude_none=True)
    for name, section in sections.items():
        kept = document[name] if isinstance(section, dict) and name in ("train", "asha") else {}
        document[name] = {**kept, **section} if isinstance(section, dict) else section
    return parse_spec(document, "changed")


class Person:
    """Who begins a search and goes on with it; what is logged meanwhile is in ``said``."""

    def __init__(self, folder: Path, uri: str, name: str, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.uri, self.name = folder, uri, name
        self.home, self.life, self.said = Home(folder / "home"), Life(), ""
        self._patch, self._chance, self._die_at = patch, Random(0), math.inf
        Life.install(patch, lambda: self.life)
        given = SimpleNamespace(per_trial={"cpu": 1}, device="cpu", trials_per_gpu=1)
        patch.setattr("eig_tune.workflows.resources.Resources.of_cluster", lambda *options: given)
        patch.setattr("eig_tune.workflows.resources._shared_out", lambda spec, images, given, address: given)
        slots = SimpleNamespace(now=lambda: SLOTS, most=SLOTS)
        patch.setattr("eig_tune.workflows.resources.Slots", lambda *options: slots)
        (folder / "ray").mkdir()
        # Processes die by chance, too; the driver where a test says so.
        OneProcess(self._chance, SLOTS, self._happens, folder / "ray").install(patch)

    def _happens(self) -> None:
        self._die_at -= 1
        if self._die_at < 0:
            self.life.kill()
            raise KilledError

    def search(self, spec: SearchSpec, die_at: float = math.inf) -> SearchOutcome:
        self.life, self._die_at = Life(), die_at
        options = RunOptions(self.name, self.uri, gpus=0, cpus=1, resume=True, stop=self.life.stop)
        with logged() as log:
            try:
                outcome = run_search(spec, options, self.home, View())
            finally:
                self.life.kill()
                self.said = log.text
        assert not outcome.tracking_errors, outcome.tracking_errors
        assert not outcome.stopped
        return outcome

    def to_its_end(self, spec: SearchSpec, kills: int) -> SearchOutcome:
        """Go on, and be killed so many times at any moment."""
        for life in range(kills):
            with pytest.raises(KilledError):
                self.search(spec, die_at=self._chance.randrange(1, 4 + life))
        return self.search(spec)

    def state(self) -> SearchState:
        return read_state(self.home.event_log(self.name))

    def tracked(self) -> TrackedSearch:
        return read_search(self.uri, self.name)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_store(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, unlabelled_digits: ImageData) -> pytest.MonkeyPatch:
    make_quick(monkeypatch, unlabelled_digits)
    return monkeypatch


@pytest.fixture
def person(tmp_path: Path, uri: str, quick: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Person:
    found = Person(tmp_path, uri, f"going-on-{abs(hash(request.node.name))}", quick)
    found.search(SPEC)
    return found


def reached(state: SearchState) -> dict[int, Mapping[int, Any]]:
    return {n: {step: report.metrics for step, report in t.reports.items()} for n, t in state.trials.items()}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # a killed process
@pytest.mark.parametrize(("kills", "lost"), [(0, False), (0, True), pytest.param(6, True, marks=pytest.mark.slow)])
def test_more_steps_let_the_best_train_on(person: Person, kills: int, lost: bool) -> None:
    before = reached(person.state())
    finished = [trial for trial in person.state().trials.values() if trial.status == "finished"]
    had = {trial.number for trial in finished}
    if lost:
        shutil.rmtree(str(finished[0].checkpoint))
    outcome = person.to_its_end(changed(train={"steps": MORE}), kills)
    state = person.state()
    now = {trial.number for trial in outcome.trials if trial.status == "finished"}
    assert now and now <= had, "those that had finished, no other was as good"
    for number, reports in before.items():
        assert all(reached(state)[number][step] == metrics for step, metrics in reports.items()), "a report was lost"
    for number in now:
        assert sorted(state.trials[number].reports) == list(range(EVERY, MORE + 1, EVERY))
    assert all(trial.status in ("finished", "stopped") for trial in state.trials.values())
    assert {c.number for c in outcome.finished if c.confirmed} <= now
    assert any(c.confirmed for c in outcome.finished), "the best were confirmed with as many steps"
    assert outcome.best is not None and max(outcome.best.reports) == MORE
    assert_only_further_seeds_of_all_steps_count(person)
    assert_mlflow_agrees(person, outcome)
    if not kills:
        said = (
            f"train.steps was {STEPS:,}, is now {MORE:,}: the {len(had)} trials that had finished wait at their rungs"
        )
        anew = "(from step 0: the checkpoints of 1 were not kept; see `keep_checkpoints`)"
        assert said in person.said and (anew in person.said) is lost and ("from step 0:" in person.said) is lost
    person.search(changed(train={"steps": MORE}))
    assert "train.steps" not in person.said, "it is said once"


def assert_only_further_seeds_of_all_steps_count(person: Person) -> None:
    logs = person.home.second_seed_event_log(person.name), person.home.confirmation_event_log(person.name)
    runs = [run for log in logs for run in read_state(log).trials.values()]
    assert {max(run.reports) for run in runs if run.status == "finished"} == {MORE}
    assert all(run.ended for run in runs)


def assert_mlflow_agrees(person: Person, outcome: SearchOutcome) -> None:
    found = person.tracked()
    assert {t.number: t.status for t in found.trials} == {t.number: t.status for t in outcome.trials}
    assert {t.number for t in found.trials if t.confirmed} == {c.number for c in outcome.finished if c.confirmed}
    for tracked, candidate in zip(found.finished(), outcome.finished, strict=True):
        assert tracked.own == pytest.approx(dict(candidate.trial.last.metrics if candidate.trial.last else {}))
        assert tracked.second == pytest.approx(dict(candidate.second))
        assert tracked.confirmed.items() >= dict(candidate.confirmed).items()


def test_search_goes_on_with_one_space_after_another(person: Person, quick: pytest.MonkeyPatch) -> None:
    """One after another on the same search, of which each test would first have to make one."""
    assert_what_mixes_numbers_is_refused(person)
    assert_further_trials_are_of_the_new_ranges(person)
    assert_params_come_and_go(person)
    assert_trials_keep_their_seeds(person, quick)
    assert_objectives_rank_anew(person)


def assert_what_mixes_numbers_is_refused(person: Person) -> None:
    before = person.home.event_log(person.name).read_bytes()
    with pytest.raises(ConfigError, match=f"train.steps: was {STEPS}, is now {STEPS - EVERY}; more steps are possible"):
        person.search(changed(train={"steps": STEPS - EVERY}))
    with pytest.raises(ConfigError, match=r"train\.batch_size: was 64, is now 32"):
        person.search(changed(train={"batch_size": 32}))
    with pytest.raises(
        ConfigError, match=r"objectives\.neighbour_nmi: was None, is now 'maximize'; \d+ reports do not"
    ):
        person.search(changed(objectives={"neighbour_nmi": "maximize"}))
    assert person.home.event_log(person.name).read_bytes() == before


def assert_further_trials_are_of_the_new_ranges(person: Person) -> None:
    search = {"lambda_1": {"loguniform": [30, 300]}, "tau": {"uniform": [0.1, 1]}}
    outcome = person.search(changed(search=search, trials=TRIALS + 5, sampler="tpe"))
    further = [trial for trial in outcome.trials if trial.number >= TRIALS]
    assert len(further) == 5 and all(30 <= trial.params["lambda_1"] <= 300 for trial in further)
    assert "search.lambda_1 was loguniform [0.3, 3.0], is now loguniform [30.0, 300.0]" in person.said
    assert f"of {TRIALS} trials so far {TRIALS} lie outside of what is searched now" in person.said
    assert "sampler was random, is now tpe: it proposes all further trials" in person.said
    person.search(changed(search=search, trials=TRIALS + 6, sampler="tpe"))
    assert "is now" not in person.said, "it is said once"


def assert_params_come_and_go(person: Person) -> None:
    search, had = (
        {"lambda_1": {"loguniform": [0.1, 10]}, "lambda_2": {"loguniform": [1, 30]}},
        len(person.state().trials),
    )
    outcome = person.search(changed(search=search, trials=had + 3))
    further = [trial for trial in outcome.trials if trial.number >= had]
    assert all(trial.params.keys() == search.keys() for trial in further) and len(further) == 3
    assert "search.tau was uniform [0.1, 1.0], is now not there" in person.said
    assert "search.lambda_2 was not there, is now loguniform [1.0, 30.0]" in person.said


def assert_trials_keep_their_seeds(person: Person, patch: pytest.MonkeyPatch) -> None:
    """Another seed is for further proposals."""
    seeds, had = list[int](), len(person.state().trials)

    def noted(config: TrainConfig, data: str) -> TrialSpec:
        seeds.append(config.seed)
        return TrialSpec(config, data)

    patch.setattr("eig_tune.workflows.search.TrialSpec", noted)
    outcome = person.search(changed(seed=5, trials=had + 3))
    assert {*seeds} >= {*range(had, had + 3)}, "as with the seed 0 that it began with"
    assert {*seeds} <= {*range(had + 3)}
    assert "seed was 0, is now 5: it holds for all further proposals" in person.said
    again = person.search(changed(seed=5, trials=had + 4))
    assert "seed was" not in person.said and seeds[-1] == had + 3
    assert [t.params for t in again.trials[: had + 3]] == [t.params for t in outcome.trials]


def assert_objectives_rank_anew(person: Person) -> None:
    objectives = {"prior_posterior_gap": "minimize"}
    outcome = person.search(changed(objectives=objectives, trials=len(person.state().trials) + 2))
    assert (
        "objectives were maximize q_mutual_information, minimize prior_posterior_gap, are now minimize" in person.said
    )
    gaps = {c.number: c.trial.last.metrics["prior_posterior_gap"] for c in outcome.finished if c.trial.last}
    assert [trial.number for trial in outcome.front] == [n for n in gaps if gaps[n] == min(gaps.values())]
    assert dict(person.tracked().objectives) == objectives
    assert_mlflow_agrees(person, outcome)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # a killed process
def test_everything_at_once_and_killed_meanwhile(person: Person) -> None:
    spec = changed(
        train={"steps": MORE},
        search={"lambda_1": {"loguniform": [0.1, 30]}, "tau": {"uniform": [0.1, 1]}},
        objectives={"prior_posterior_gap": "minimize"},
        sampler="nsga2",
        seed=3,
        trials=TRIALS + 4,
    )
    outcome = person.to_its_end(spec, kills=8)
    assert len(outcome.trials) == TRIALS + 4 and all(trial.ended for trial in outcome.trials)
    assert_mlflow_agrees(person, outcome)
