"""Which trials are confirmed, what that says, and what counts as confirmed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eig_tune.config.constraints import NO_CONSTRAINTS
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.errors import ConfigError
from eig_tune.hpo.candidates import Confirmed, candidates_of
from eig_tune.hpo.confirmations import note_compared, note_complete, second_seeds, summaries
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.selection import to_confirm
from eig_tune.hpo.trial import Decision, Report, Trial
from eig_tune.reports.phrases import found_and_confirmed
from eig_tune.tracking import TrackedTrial
from eig_tune.workflows.confirm import imbalances

OBJECTIVES = {"nmi": "maximize", "prior_rmse": "minimize"}


def finished(number: int, nmi: float, prior_rmse: float, **values: int) -> Trial:
    report = Report(100, {"nmi": nmi, "prior_rmse": prior_rmse}, 0.0, Decision("finished"))
    return Trial(number, values, 0.0, "finished", reports={100: report})


def test_front_is_confirmed_before_what_it_dominates_and_its_knee_first() -> None:
    trials = candidates_of([
        finished(0, 0.5, 0.50), finished(1, 0.9, 0.30), finished(2, 0.7, 0.10), finished(3, 0.89, 0.31),
        finished(4, 0.1, 0.05),
    ])  # fmt: skip
    assert [trial.number for trial in to_confirm(trials, OBJECTIVES, NO_CONSTRAINTS, 3)] == [2, 1, 4]
    assert [trial.number for trial in to_confirm(trials, OBJECTIVES, NO_CONSTRAINTS, 9)] == [2, 1, 4, 3, 0]


def test_nothing_finished_or_wanted_is_nothing_to_confirm() -> None:
    assert to_confirm([], OBJECTIVES, NO_CONSTRAINTS, 3) == []
    assert to_confirm(candidates_of([finished(0, 0.5, 0.5)]), OBJECTIVES, NO_CONSTRAINTS, 0) == []


class Runs:
    """A confirmation's event log that a test writes."""

    def __init__(self, folder: Path) -> None:
        self.event_log = EventLog(folder / "confirmation.jsonl")

    def end(self, trial: int, seed: int | str, nmi: float | None, **split: int) -> None:
        """A run that has reached ``nmi``, or has failed."""
        number = len(self.event_log.trials)
        self.event_log.propose(number, {"trial": trial, "seed": seed, **split})
        if nmi is not None:
            self.event_log.report(number, 100, {"nmi": nmi, "prior_rmse": 0.1}, Decision("finished"))
        self.event_log.end(number, "failed" if nmi is None else "finished", "")

    def summary(self, seeds: int, on: Sequence[int | None] = (None,)) -> dict[int, Confirmed]:
        return {each.trial: each for each in summaries(self.event_log, seeds, on)}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_summary_is_numpys_mean_and_deviation(runs: Runs) -> None:
    for seed, nmi in enumerate([0.8, 0.9, 0.7]):
        runs.end(7, seed, nmi)
    runs.end(8, 0, 0.1)
    reached = runs.summary(seeds=3)[7]
    assert (reached.seeds, reached.complete, str(reached)) == (3, True, "complete")
    assert reached.means["nmi"] == pytest.approx(0.8)
    assert reached.deviations["nmi"] == pytest.approx(np.std([0.8, 0.9, 0.7], ddof=1))


def test_single_run_has_no_deviation_also_where_an_earlier_version_wrote_0(runs: Runs) -> None:
    runs.end(7, 0, 0.8)
    reached = runs.summary(seeds=1)[7]
    assert (reached.complete, reached.deviations) == (True, {}) and "confirmed_std.nmi" not in reached.as_metrics()
    metrics = {"nmi": 0.9, **reached.as_metrics(), "confirmed_std.nmi": 0.0}
    trial = TrackedTrial(7, "run", "finished", "", {}, metrics, str(reached))
    assert (trial.confirmed["nmi"], trial.confirmed_deviations) == (0.8, {})
    assert found_and_confirmed(OBJECTIVES, trial.found, trial.confirmed, trial.confirmed_deviations) == (
        "nmi found 0.900, confirmed 0.800"
    )


def test_trial_is_confirmed_when_all_that_was_asked_of_it_has_finished(runs: Runs) -> None:
    runs.end(1, 0, 0.9)
    runs.event_log.propose(1, {"trial": 1, "seed": 1})
    for seed, nmi in enumerate([0.8, None]):
        runs.end(2, seed, nmi)
    summary = runs.summary(seeds=2)
    assert [summary[1].complete, summary[2].complete] == [False, False]
    assert [str(summary[number]) for number in (1, 2)] == [
        "1 of 2 fresh seeds finished",
        "1 of 2 fresh seeds finished, 1 failed",
    ]
    candidates = candidates_of([finished(1, 0.9, 0.1), finished(2, 0.9, 0.1)], summary.values())
    assert [candidate.confirmed for candidate in candidates] == [{}, {}]
    runs.end(3, 0, None)
    assert str(runs.summary(seeds=1)[3]) == "0 of 1 fresh seed finished, 1 failed"


def test_confirmation_that_is_extended_and_interrupted_leaves_its_trials_confirmed(runs: Runs) -> None:
    """Two seeds, all run; then three are asked for, and one of two trials gets its third."""
    for trial in (1, 2):
        for seed in range(2):
            runs.end(trial, seed, 0.8)
    note_complete(runs.event_log, [1, 2], 2)
    runs.end(1, 2, 0.5)
    runs.event_log.propose(5, {"trial": 3, "seed": 0})
    summary = runs.summary(seeds=3)
    assert {number: (of.seeds, of.complete) for number, of in summary.items()} == {
        1: (3, True), 2: (2, True), 3: (0, False)
    }  # fmt: skip
    assert summary[1].means["nmi"] == pytest.approx(0.7)
    note_complete(runs.event_log, [1, 3], 3)
    assert runs.summary(seeds=3)[2].complete, "no candidate any more, and what was measured of it still holds"


def test_means_are_over_seeds_and_splits_and_other_splits_do_not_count(runs: Runs) -> None:
    """Confirmed on its own images, then on splits 0 and 2 as well, of which none is the search's own."""
    for seed in range(2):
        runs.end(1, seed, 0.9)
    note_complete(runs.event_log, [1], 2)
    assert runs.summary(seeds=2, on=[0, 2])[1].means["nmi"] == pytest.approx(0.9), "what came to its end counts"
    for split, nmi in ((0, 0.6), (2, 0.8)):
        for seed in range(2):
            assert runs.summary(seeds=2, on=[0, 2])[1].seeds == 2
            runs.end(1, seed, nmi + 0.1 * seed, split=split)
    note_complete(runs.event_log, [1], 2, [0, 2])
    reached = runs.summary(seeds=2)[1]
    assert (reached.seeds, reached.asked, reached.splits, reached.complete) == (4, 4, 2, True)
    assert reached.means["nmi"] == pytest.approx(np.mean([0.6, 0.7, 0.8, 0.9]))
    assert reached.as_metrics()["confirmed.splits"] == 2
    runs.end(2, 0, 0.5)
    assert str(runs.summary(seeds=2)[2]) == "0 of 4 runs (fresh seeds on each of 2 splits) finished"


def test_second_seeds_count_when_those_of_all_finalists_have_ended(runs: Runs) -> None:
    runs.end(1, "second", 0.8)
    assert second_seeds(runs.event_log) == {}, "that of trial 2 is still to come"
    runs.end(2, "second", None)
    note_compared(runs.event_log, [1, 2])
    runs.end(3, "second", 0.7)
    assert {number: metrics["nmi"] for number, metrics in second_seeds(runs.event_log).items()} == {1: 0.8}
    note_compared(runs.event_log, [1, 3])
    events = runs.event_log.num_events
    note_compared(runs.event_log, [2])
    assert set(second_seeds(runs.event_log)) == {1, 3} and runs.event_log.num_events == events


def spec(imbalance: object = None, **confirm: object) -> SearchSpec:
    document = {
        "dataset": {"name": "digits", **({} if imbalance is None else {"imbalance": imbalance})},
        "train": {"steps": 1000, "report_every": 500},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "confirm": confirm,
    }
    return parse_spec(document, "test")


def test_split_of_the_search_itself_is_its_own_images() -> None:
    """So that runs of a confirmation without splits are not trained again."""
    assert imbalances(spec()) == [None]
    assert imbalances(spec({"split": 2}, splits=[0, 2])) == [0, None]


@pytest.mark.parametrize("imbalance", ["none", {"file": "table.npy"}])
def test_splits_need_a_random_imbalance(imbalance: object) -> None:
    with pytest.raises(ConfigError, match=r"confirm\.splits: needs images with labels and dataset\.imbalance: "):
        spec(imbalance, splits=[0, 1])
    assert spec(imbalance, splits=[]).confirm.runs == 3


@pytest.mark.parametrize("splits", [[0, 0], [-1], [0.5], "0", 3])
def test_splits_are_different_numbers(splits: object) -> None:
    with pytest.raises(ConfigError, match=r"confirm\.splits"):
        spec(splits=splits)


@pytest.mark.parametrize(
    ("confirm", "finished", "expected"),
    [
        ({}, 20, 8), ({}, 5, 5), ({}, 3, 0), ({"finalists": 0}, 20, 0), ({"top": 0}, 20, 0),
        ({"finalists": 2, "top": 3}, 20, 0), ({"finalists": 3, "top": 1}, 6, 3),
    ],
)  # fmt: skip
def test_finalists_are_as_many_as_there_are_and_none_where_all_go_on(
    confirm: dict[str, object], finished: int, expected: int
) -> None:
    assert spec(**confirm).confirm.finalists_of(finished) == expected


def test_confirmed_metrics_are_read_back_apart_from_what_was_found() -> None:
    reached = Confirmed(1, 3, 3, 0, {"nmi": 0.8, "prior_rmse": 0.1}, {"nmi": 0.02, "prior_rmse": 0.01})
    metrics = {"nmi": 0.93, "prior_rmse": 0.2, **reached.as_metrics()}
    trial = TrackedTrial(1, "run1", "finished", "", {}, metrics, str(reached))
    assert trial.confirmed == {"nmi": 0.8, "prior_rmse": 0.1, "seeds": 3.0}
    assert trial.confirmed_deviations == {"nmi": 0.02, "prior_rmse": 0.01}
    assert trial.found == {"nmi": 0.93, "prior_rmse": 0.2}
    partial = replace(trial, confirmation="2 of 3 fresh seeds finished, 1 failed")
    assert partial.confirmed == partial.confirmed_deviations == {} and partial.found == trial.found
