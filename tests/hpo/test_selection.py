"""One rule for the best trial: what it is, and that every place that names one names the same."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged import logged
from rich.console import Console
from typer.testing import CliRunner

from eig_tune.cli.app import app
from eig_tune.cluster.storage import Storage
from eig_tune.config.constraints import NO_CONSTRAINTS, Bound, written
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.errors import ResultError
from eig_tune.home import Home
from eig_tune.hpo.candidates import SECOND_SEED, Candidate, candidates_of
from eig_tune.hpo.confirmations import note_compared, note_complete, second_seeds, summaries
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.selection import choose, eligible, ranked, start_points, to_confirm
from eig_tune.hpo.selection_bias import selection_bias
from eig_tune.hpo.trial import Decision, Trial
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.reports.outcomes import DiskUse, SearchOutcome, search_document
from eig_tune.reports.results import write_results
from eig_tune.terminal.search import print_search
from eig_tune.tracking import (
    CONSTRAINTS_TAG,
    OBJECTIVES_TAG,
    SearchTracker,
    Store,
    TrackedTrial,
    open_store,
    read_search,
)
from eig_tune.workflows.compare import winners_of
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.search import warm_started

NONE: Mapping[str, str] = {}
TWO = {"nmi": "maximize", "prior_rmse": "minimize"}
ALL = (TWO, {"nmi": "maximize"}, {**TWO, "nmi_real": "maximize"})
FLOOR = {"nmi_real": Bound.parse(">= 0.8")}
METRICS = ("nmi", "prior_rmse", "nmi_real")


def tracked(
    number: int,
    *found: float,
    second: Sequence[float] = (),
    confirmed: Sequence[float] = (),
    confirmation: str = "",
) -> TrackedTrial:
    metrics = dict(zip(METRICS, found, strict=False))
    metrics |= {f"second_seed.{name}": value for name, value in zip(METRICS, second, strict=False)}
    metrics |= {f"confirmed.{name}": value for name, value in zip(METRICS, confirmed, strict=False)}
    confirmation = confirmation or ("complete" if confirmed else "")
    return TrackedTrial(number, f"run{number}", "finished", "", {}, metrics, confirmation)


def test_confirmed_comes_before_found_and_complete_before_partial() -> None:
    partial = tracked(1, 0.98, 0.1, confirmed=(0.97, 0.1), confirmation="1 of 3 fresh seeds finished")
    trials = [tracked(0, 0.99, 0.1), partial, tracked(2, 0.7, 0.2, confirmed=(0.6, 0.2))]
    assert [trial.number for trial in eligible(trials)] == [2]
    trials.append(tracked(3, 0.9, 0.3, confirmed=(0.8, 0.3)))
    assert [trial.number for trial in ranked(trials, TWO, NO_CONSTRAINTS, "nmi")] == [3, 2]
    assert [trial.number for trial in ranked(trials[:2], TWO, NO_CONSTRAINTS, "nmi")] == [0, 1], "both as found"


def test_mean_of_two_seeds_comes_before_the_luck_of_one() -> None:
    """The best by one seed has none, and falls behind; of the others the best by the mean of both, not by one."""
    trials = [
        tracked(0, 0.99, 0.1),
        tracked(1, 0.95, 0.1, second=(0.71, 0.1)),
        tracked(2, 0.9, 0.1, second=(0.88, 0.1)),
    ]
    assert [trial.found["nmi"] for trial in trials] == pytest.approx([0.99, 0.83, 0.89])
    assert trials[1].own == {"nmi": 0.95, "prior_rmse": 0.1}, "what it has reached itself stays what it was"
    assert [trial.number for trial in ranked(trials, TWO, NO_CONSTRAINTS, "nmi")] == [2, 1]
    assert [trial.number for trial in to_confirm(trials, TWO, NO_CONSTRAINTS, 3)] == [2, 1]
    confirmed = tracked(3, 0.8, 0.1, confirmed=(0.7, 0.1))
    assert eligible([*trials, confirmed]) == [confirmed], "confirmed before found"


def test_knee_of_a_two_point_front_goes_by_the_range_of_all_finished_trials() -> None:
    """The front alone gives both points the distance 1, whichever they are."""
    a, b, far = tracked(0, 0.90, 0.10), tracked(1, 0.80, 0.05), tracked(2, 0.40, 0.20)
    assert choose([a, b, far], TWO, NO_CONSTRAINTS).number == 1, "0.10 of 0.5 is less than 0.05 of 0.15"
    assert choose([replace(b, number=0), replace(a, number=1), far], TWO, NO_CONSTRAINTS).number == 0
    narrow = tracked(2, 0.75, 0.90)
    assert choose([a, b, narrow], TWO, NO_CONSTRAINTS).number == 0, "0.05 of 0.85 is less than 0.10 of 0.15"


def test_of_equals_the_first_objective_decides_then_the_number() -> None:
    a, b = tracked(0, 0.8, 0.05), tracked(1, 0.9, 0.10)
    assert choose([a, b], TWO, NO_CONSTRAINTS).number == 1
    assert choose([replace(b, number=0), replace(a, number=1)], TWO, NO_CONSTRAINTS).number == 0
    turned = dict(reversed(TWO.items()))
    assert choose([a, b], turned, NO_CONSTRAINTS).number == 0
    assert [t.number for t in ranked([tracked(3, 0.9, 0.1), tracked(1, 0.9, 0.1)], TWO, NO_CONSTRAINTS)] == [1, 3]
    assert choose([tracked(0, 0.9, 0.3), tracked(1, 0.9, 0.1)], TWO, NO_CONSTRAINTS, "nmi").number == 1


def test_noise_of_the_last_bit_outweighs_no_other_objective() -> None:
    assert choose([tracked(0, 0.5, 0.1), tracked(1, float(np.nextafter(0.5, 1)), 0.3)], TWO, NO_CONSTRAINTS).number == 0


@pytest.mark.parametrize("objectives", ALL)
@pytest.mark.parametrize("seed", range(20))
def test_no_choice_is_dominated_and_none_depends_on_the_order_of_reading(objectives: dict[str, str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = [tracked(n, *np.round(rng.random(3), 1)) for n in range(15)]
    shuffled = [trials[index] for index in rng.permutation(15)]
    signs = np.array([1 if direction == "maximize" else -1 for direction in objectives.values()])

    def value(trial: TrackedTrial) -> Any:
        return signs * [trial.found[name] for name in objectives]

    for by in ("knee", *objectives):
        best = choose(trials, objectives, NO_CONSTRAINTS, by)
        assert choose(shuffled, objectives, NO_CONSTRAINTS, by) is best
        assert not any((value(t) >= value(best)).all() and (value(t) > value(best)).any() for t in trials)
    assert to_confirm(shuffled, objectives, NO_CONSTRAINTS, 1) == [choose(trials, objectives, NO_CONSTRAINTS)]
    assert start_points(shuffled, objectives, NO_CONSTRAINTS)[0] is choose(trials, objectives, NO_CONSTRAINTS)


def test_nothing_finished_or_no_such_objective_is_one_line() -> None:
    with pytest.raises(ResultError, match="no trial of this search has finished yet"):
        choose([], TWO, NO_CONSTRAINTS)
    with pytest.raises(ResultError, match=r"--by loss: this search's objectives are nmi, prior_rmse; choose one"):
        choose([tracked(0, 0.5, 0.5)], TWO, NO_CONSTRAINTS, "loss")
    assert to_confirm([], TWO, NO_CONSTRAINTS, 3) == [] and start_points([], TWO, NO_CONSTRAINTS) == []


def spec_of(objectives: dict[str, str], trials: int, seed: int, constraints: Mapping[str, str] = NONE) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 1500, "report_every": 500},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"uniform": [0, 100]}},
        "objectives": objectives,
        "constraints": constraints,
        "trials": trials,
        "confirm": {"top": 3, "seeds": 2},
        "seed": seed,
    }
    return parse_spec(document, "test")


def measured(rng: np.random.Generator) -> dict[str, float]:
    """Few values, so that many are equal."""
    fine = {name: float(np.round(rng.random(), 1)) for name in METRICS}
    return {**fine, "train_seconds": 1.0, "evaluation_seconds": 1.0}


def end(event_log: EventLog, number: int, params: dict[str, Any], rng: np.random.Generator, status: Any) -> None:
    event_log.propose(number, params)
    event_log.report(number, 1500, measured(rng), Decision(status))
    event_log.end(number, status, "")


def random_search(home: Home, name: str, spec: SearchSpec, rng: np.random.Generator) -> EventLog:
    """A search that has ended, with second seeds and confirmations of which some are missing, run or have failed."""
    event_log = EventLog(home.event_log(name))
    for number in range(spec.trials):
        end(event_log, number, {"lambda_1": float(number)}, rng, rng.choice(["finished", "finished", "stopped"]))
    finished = [number for number, trial in event_log.trials.items() if trial.status == "finished"]
    with EventLog(home.second_seed_event_log(name)) as screening:
        for index, number in enumerate(finished[: rng.integers(5)]):
            params: dict[str, Any] = {"trial": number, "seed": SECOND_SEED}
            end(screening, index, params, rng, "failed" if rng.random() < 0.2 else "finished")
        note_compared(screening, finished if rng.random() < 0.8 else [])
    chosen = [int(number) for number in rng.permutation(finished)[: rng.integers(4)]]
    with EventLog(home.confirmation_event_log(name)) as confirming:
        runs = [{"trial": number, "seed": seed} for seed in range(spec.confirm.seeds) for number in chosen]
        cut = rng.integers(len(runs) + 1) if rng.random() < 0.5 else len(runs)
        for index, params in enumerate(runs[:cut]):
            end(confirming, index, params, rng, "failed" if rng.random() < 0.15 else "finished")
        if cut == len(runs):
            note_complete(confirming, chosen, spec.confirm.seeds)
    return event_log


def candidates(trials: Iterable[Trial], spec: SearchSpec, home: Home, name: str) -> list[Candidate]:
    with (
        EventLog(home.second_seed_event_log(name)) as second,
        EventLog(home.confirmation_event_log(name)) as confirming,
    ):
        return candidates_of(trials, summaries(confirming, spec.confirm.seeds), second_seeds(second))


@pytest.mark.parametrize("objectives", ALL)
@pytest.mark.parametrize("seed", range(30))
def test_event_log_and_mlflow_name_the_same_best_trial(objectives: dict[str, str], seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    spec = spec_of(objectives, trials=int(rng.integers(2, 12)), seed=seed)
    with random_search(Home(tmp_path), "s", spec, rng) as event_log:
        finished = candidates(event_log.trials.values(), spec, Home(tmp_path), "s")
    read = [
        TrackedTrial(
            one.number,
            "run",
            one.trial.status,
            "",
            one.trial.params,
            {**one.trial.last.metrics, **one.as_metrics()},
            str(one.confirmation or ""),
        )
        for one in finished
        if one.trial.last is not None
    ]
    for by in ("knee", *objectives) if finished else ():
        for constraints in ({}, FLOOR, {**FLOOR, "prior_rmse": Bound.parse("<= 0.1")}):
            expected = choose(finished, objectives, constraints, by)
            assert choose(read, objectives, constraints, by).number == expected.number
        assert bool(expected.confirmed) == any(one.confirmation and one.confirmation.complete for one in finished)
    for name in objectives:
        assert selection_bias(read, name) == selection_bias(finished, name)


class Everywhere:
    """One random search written into MLflow, and which trial each place names as its best."""

    def __init__(self, store: Store, folder: Path, spec: SearchSpec, rng: np.random.Generator) -> None:
        self.home, self.store, self.spec = Home(folder), store, spec
        with random_search(self.home, store.name, spec, rng) as event_log:
            tags = {OBJECTIVES_TAG: json.dumps(spec.objectives)}
            tags[CONSTRAINTS_TAG] = json.dumps(written(spec.constraints))
            tracker = SearchTracker(store, "search", "f" * 32, {}, tags)
            MlflowRuns(tracker, Storage(str(folder)), (), spec.method).catch_up(event_log.trials)
            engine = Engine(SearchPolicy(spec), event_log)
            finished = candidates(event_log.trials.values(), spec, self.home, store.name)
            best = choose(finished, spec.objectives, spec.constraints).trial
            write_results(tracker, engine, spec, finished, best)
            tracker.close("FINISHED", {})
            assert tracker.errors == []
            trials, front = tuple(event_log.trials.values()), tuple(engine.front())
        self.outcome = SearchOutcome(
            store.name, spec, trials, front, tuple(finished), best, 1, 1.0, DiskUse(str(folder), 0, 0), (),
        )  # fmt: skip

    def names(self) -> Iterator[tuple[str, int]]:
        yield "search --json", search_document(self.outcome)["best"]["trial"]
        console = Console(record=True, width=300, file=StringIO())
        print_search(self.outcome, self.spec, console, console)
        yield "search", int(re.findall(r"^trial (\d+) is the", console.export_text(), re.MULTILINE)[0])
        (parent,) = self.store.searches()
        yield "note", int(re.findall(r"\*\*Trial (\d+)\*\*, the", parent.data.tags["mlflow.note.content"])[0])
        found = read_search(self.store.uri, self.store.name)
        tagged = self.store.client.search_runs([self.store.experiment_id], "tags.best = 'true'")
        yield "tag", int(*(run.data.tags["eig_tune.trial"] for run in tagged))
        done = CliRunner().invoke(app, ["best", "--name", self.store.name, "--tracking-uri", self.store.uri, "--json"])
        yield "best --json", json.loads(done.stdout)["trial"]
        yield "best", int(re.findall(r": trial (\d+), the", done.stderr)[0])
        options = RunOptions("another", self.store.uri)
        with logged() as log:
            winners = winners_of(self.store.name, ["gumbel-softmax"], options, self.home)
        yield (
            "what that says",
            int(re.findall(r"hyperparameters of gumbel-softmax from trial (\d+)$", log.text, re.M)[0]),
        )
        yield "compare --best-of", int(winners["gumbel-softmax"]["lambda_1"])
        warm = warm_started(self.spec, self.store.name, options, self.home)
        yield "--warm-start", int(warm.start_from[0]["lambda_1"])
        if not any(trial.confirmed for trial in found.finished()):
            yield "confirmation", to_confirm(found.finished(), found.objectives, found.constraints, 1)[0].number


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all: it takes seconds to be made."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.mark.parametrize("objectives", ALL)
@pytest.mark.parametrize("constraints", [NONE, {"nmi_real": ">= 0.7"}, {"nmi_real": ">= 0.99", "prior_rmse": "<= 0.3"}])
@pytest.mark.parametrize("seed", range(2))
def test_every_place_names_the_same_best_trial(
    objectives: dict[str, str], constraints: Mapping[str, str], seed: int, database: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    spec = spec_of(objectives, trials=int(rng.integers(3, 9)), seed=seed, constraints=constraints)
    store = open_store(f"sqlite:///{database}/mlflow.db", f"{seed}-{len(objectives)}-{len(constraints)}", database)
    search = Everywhere(store, tmp_path, spec, rng)
    named = dict(search.names())
    assert len(set(named.values())) == 1, named


def test_extended_confirmation_is_what_is_read_back_and_a_failed_seed_ends_it(database: Path, tmp_path: Path) -> None:
    """Seed after seed, with a resume between them: the means fall, MLflow reads back the newest, and then none."""
    spec, home = spec_of(TWO, trials=1, seed=0), Home(tmp_path)
    store = open_store(f"sqlite:///{database}/mlflow.db", "extended", database)
    with EventLog(home.event_log("extended")) as event_log:
        end(event_log, 0, {"lambda_1": 0.0}, np.random.default_rng(0), "finished")
    for seed, (nmi, mean) in enumerate([(0.94, 0.94), (0.66, 0.80), (None, None)]):
        with (
            EventLog(home.event_log("extended")) as event_log,
            EventLog(home.confirmation_event_log("extended")) as confirming,
        ):
            confirming.propose(seed, {"trial": 0, "seed": seed})
            if nmi is not None:
                confirming.report(seed, 1500, {"nmi": nmi, "prior_rmse": 0.1}, Decision("finished"))
            confirming.end(seed, "failed" if nmi is None else "finished", "")
            note_complete(confirming, [0], seed + 1)
            tracker = SearchTracker(store, "search", "e" * 32, {}, {OBJECTIVES_TAG: json.dumps(TWO)})
            MlflowRuns(tracker, Storage(str(tmp_path)), (), spec.method).catch_up(event_log.trials)
            engine = Engine(SearchPolicy(spec), event_log)
            finished = candidates_of(engine.finished(), summaries(confirming, seed + 1))
            write_results(tracker, engine, spec, finished, choose(finished, TWO, NO_CONSTRAINTS).trial)
            tracker.close("FINISHED", {})
            assert tracker.errors == []
        (trial,) = read_search(store.uri, store.name).trials
        assert trial.confirmed.get("nmi") == (None if mean is None else pytest.approx(mean))
    assert trial.confirmation == "2 of 3 fresh seeds finished, 1 failed"


def test_method_that_takes_the_values_of_another_is_reported(database: Path, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{database}/mlflow.db", "methods", database)
    tracker = SearchTracker(store, "search", "d" * 32, {}, {OBJECTIVES_TAG: json.dumps(TWO)})
    for number, (method, status) in enumerate([("elastic-infogan", "finished"), ("gumbel-softmax", "stopped")]):
        tracker.start_run(str(number), "trial", {"method": method, "tau": 0.5 + number}, at=1.0)
        tracker.log_metrics(str(number), 1, {"nmi": 0.5, "prior_rmse": 0.1}, at=1.0)
        tracker.end_run(str(number), "FINISHED", {"status": status}, at=2.0)
    tracker.close("FINISHED", {})
    options = RunOptions("another", store.uri)
    with logged() as log:
        winners = winners_of("methods", ["elastic-infogan", "gumbel-softmax"], options, Home(tmp_path))
    assert winners == {"elastic-infogan": {"tau": 0.5}, "gumbel-softmax": {"tau": 0.5}}
    assert log.lines[-1] == (
        "hyperparameters of elastic-infogan from trial 0, gumbel-softmax from trial 0 (of another method, since none "
        "of its own has finished)"
    )
