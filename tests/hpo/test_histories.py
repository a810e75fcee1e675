"""Whole searches in which anything may happen: to processes, the storage, the home, MLflow, the clock, from beside.

Everything is real but Ray and the training: `run_search` with its event logs, study, checkpoints and an MLflow store,
time and again, until the search of each of two homes is complete. Both are of the same name, on the same store and
storage.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checkpoint_rule import assert_checkpoints_are_where_they_belong, assert_only_the_best_keep_checkpoints
from one_process import OneProcess
from untrained import make_quick, make_store
from world import BETWEEN_LIVES, EVERY, MOST_LIVES, SPEC, TRIALS, World, expected_further

from eig_tune.data import ImageData
from eig_tune.home import Home
from eig_tune.hpo.candidates import candidates_of
from eig_tune.hpo.confirmations import second_seeds, summaries
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.selection import to_confirm
from eig_tune.hpo.trial import Trial
from eig_tune.tracking import open_store, store


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_store(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, unlabelled_digits: ImageData) -> pytest.MonkeyPatch:
    make_quick(monkeypatch, unlabelled_digits)
    return monkeypatch


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # a killed process
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize(
    "seed",
    [
        0,
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10)),
        *(pytest.param(seed, marks=pytest.mark.long) for seed in range(10, 20)),
    ],
)
def test_whatever_happens_both_searches_come_to_a_right_end(
    tmp_path: Path, uri: str, quick: pytest.MonkeyPatch, seed: int, slots: int
) -> None:
    world = World(tmp_path, uri, f"history-{seed}-{slots}.", seed, quick)
    given = SimpleNamespace(per_trial={"cpu": 1}, device="cpu", trials_per_gpu=1)
    quick.setattr("eig_tune.workflows.resources.Resources.of_cluster", lambda *options: given)
    quick.setattr("eig_tune.workflows.resources._shared_out", lambda spec, images, given, address: given)
    quick.setattr("eig_tune.workflows.resources.Slots", lambda *options: SimpleNamespace(now=lambda: slots, most=slots))
    (tmp_path / "ray").mkdir()
    OneProcess(world.chance, slots, world.happens, tmp_path / "ray").install(quick)
    complete, lives = [False, False], 0
    while not all(complete):
        which = world.chance.randrange(2)
        world.befall(world.chance.choices(list(BETWEEN_LIVES), list(BETWEEN_LIVES.values()))[0])
        complete[which] = world.live(which) or complete[which]
        lives += 1
        assert lives < MOST_LIVES, "\n".join(world.happened[-20:])
    world.mend()
    quick.undo()
    for home in world.homes:
        assert_right(home, world, uri, slots)


def assert_right(home: Path, world: World, uri: str, slots: int) -> None:
    files = [
        Home(home).event_log(world.name),
        Home(home).second_seed_event_log(world.name),
        Home(home).confirmation_event_log(world.name),
    ]
    with EventLog(files[0]) as event_log, EventLog(files[1]) as second, EventLog(files[2]) as confirm:
        own, trials = event_log.header["id"], event_log.trials
        further = [*second.trials.values(), *confirm.trials.values()]
        spare = assert_best_by_both_seeds_go_on(trials.values(), second, confirm)
    assert list(trials) == list(range(TRIALS))
    assert len(further) - spare == expected_further([*trials.values()])
    assert slots > 1 or not spare, "nothing is begun early while no slot is idle"
    for trial in [*trials.values(), *further]:
        assert trial.status in ("finished", "stopped"), (trial.status, trial.reason, world.happened)
        assert sorted(trial.reports) == list(range(EVERY, max(trial.reports) + 1, EVERY)), "a report is missing"
    for file, rungs in zip(files, (SPEC.rungs(), [], []), strict=True):
        events = [json.loads(line) for line in file.read_text().splitlines()]
        assert_nothing_came_twice(events)
        assert_checkpoints_are_where_they_belong(events, rungs)
    assert_only_the_best_keep_checkpoints(world.storage_of(home) / world.name / own, trials.values(), further)
    assert_mlflow_agrees(open_store(uri, world.name, home, own), own, trials, further)


def assert_best_by_both_seeds_go_on(trials: Iterable[Trial], second: EventLog, confirm: EventLog) -> int:
    """Whatever was killed in between: the choice is that of all finalists' two seeds, and no other trial counts.

    Returns:
        How many runs were begun early, and not needed in the end.
    """
    finished = candidates_of(trials)
    finalists = to_confirm(finished, SPEC.objectives, SPEC.constraints, SPEC.confirm.finalists_of(len(finished)))
    reached = second_seeds(second)
    assert {trial.number for trial in finalists} == set(reached)
    of_both = candidates_of([c.trial for c in finished], second=reached)
    chosen = to_confirm(of_both, SPEC.objectives, SPEC.constraints, SPEC.confirm.top)
    counting = {each.trial for each in summaries(confirm, SPEC.confirm.seeds) if each.complete}
    assert counting == {trial.number for trial in chosen}
    spare = [run for run in second.trials.values() if run.params["trial"] not in reached]
    spare += [run for run in confirm.trials.values() if run.params["trial"] not in counting]
    return len(spare)


def assert_nothing_came_twice(events: list[dict[str, Any]]) -> None:
    """No report comes twice, none after the end, and no checkpoint is older than the one before."""
    reported, kept, ended = dict[int, int](), Counter[int](), set[int]()
    for event in events:
        if "trial" not in event or event["event"] == "trial":
            continue
        number = event["trial"]
        assert number not in ended or event["event"] == "checkpoint", event  # found where it was moved to
        if event["event"] == "report":
            assert event["step"] == reported.get(number, 0) + EVERY, event
            reported[number] = event["step"]
        elif event["event"] == "checkpoint":
            assert kept[number] <= event["step"] <= reported.get(number, 0), f"set back: {event}"
            kept[number] = event["step"]
        elif event["event"] == "end":
            ended.add(number)


def assert_mlflow_agrees(
    found: store.Store, search_id: str, trials: dict[int, Trial], further: Sequence[Trial]
) -> None:
    """One run for the search, each trial and each confirmation, over, with every number and the models that count."""
    runs = {run.data.tags.get("eig_tune.trial"): run for run in found.runs_of(search_id)}
    assert len(runs) == len(found.runs_of(search_id)), "a run is doubled"
    assert runs.pop(None).info.status == "FINISHED"
    by_key = {str(number): trial for number, trial in trials.items()}
    by_key |= {f"{t.params['trial']}.{t.params['seed']}": t for t in further}
    assert runs.keys() == by_key.keys()
    for key, run in runs.items():
        trial = by_key[key]
        ends = {"finished": "FINISHED", "stopped": "FINISHED"}
        assert (run.info.status, run.data.tags["stop_reason"]) == (ends[trial.status], trial.reason)
        for metric in ("q_mutual_information", "train_seconds"):
            points = [(p.step, p.value) for p in found.client.get_metric_history(run.info.run_id, metric)]
            assert sorted(points) == [(step, trial.reports[step].metrics[metric]) for step in sorted(trial.reports)]
