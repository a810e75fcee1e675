"""A comparison's cells, its table, and what of an earlier one is not run again."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from eig_tune.errors import ConfigError
from eig_tune.evaluation.registry import compared_metrics
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import FixedRuns
from eig_tune.hpo.trial import Decision, Report, Trial
from eig_tune.models import METHODS
from eig_tune.reports.comparison import best_of, markdown, rows_of
from eig_tune.reports.comparison_report import mean_curves, write_report
from eig_tune.tracking import TrackedTrial
from eig_tune.workflows.compare import ComparisonPlan, params_of, parse_methods, parse_splits

METHODS_HERE = ("uniform-infogan", "ground-truth-infogan", "elastic-infogan")


def plan(seeds: int = 2, splits: tuple[int, ...] = (0, 1)) -> ComparisonPlan:
    return ComparisonPlan(METHODS_HERE, splits, seeds, winners={})


def test_params_of_another_search_are_typed_or_refused() -> None:
    winner = TrackedTrial(3, "run", "finished", "", {"tau": "1", "batch_size": 64.0, "method": "joint-vae"}, {})
    assert repr(params_of(winner, "old")) == repr({"tau": 1.0, "batch_size": 64})
    for values in ({"lamda_1": 1.0}, {"tau": "hot"}):
        with pytest.raises(ConfigError, match="--best-of old: trial 3"):
            params_of(replace(winner, params=values), "old")


def measured(values: Mapping[str, Any]) -> dict[str, float]:
    rank = METHODS_HERE.index(values["method"])
    noise = np.random.default_rng([rank, 0 if values["split"] == "none" else values["split"], values["seed"]]).random()
    quality = 0.2 * rank + 0.1 * noise
    return {"nmi": 0.4 + quality, "nmi_real": 0.3, "average_entropy": 1 - quality, "prior_rmse": 0.1 - quality / 10}


def policy(of: ComparisonPlan, event_log: EventLog) -> FixedRuns:
    runs = of.cells()
    done = [trial.params for trial in event_log.trials.values()]
    return FixedRuns(runs, lambda params: 100, compared_metrics(), done)


def run(of: ComparisonPlan, path: Path, most: int = 1000) -> list[Trial]:
    """The trials that were run now."""
    ran: list[Trial] = []
    with EventLog(path) as event_log:
        engine = Engine(policy(of, event_log), event_log)
        while len(ran) < most and (trial := engine.propose()) is not None:
            assert engine.report(trial.number, 50, measured(trial.params)).decision.status == "running"
            assert engine.report(trial.number, 100, measured(trial.params)).decision.status == "finished"
            engine.checkpointed(trial.number, "nowhere", 100)
            engine.carry_out(trial.number)
            ran.append(trial)
    return ran


def test_there_is_a_cell_for_every_method_split_and_seed_and_one_on_balanced_images() -> None:
    cells = plan().cells()
    assert len(cells) == 3 * 2 * 2 + 1
    assert len({tuple(cell.items()) for cell in cells}) == len(cells)
    assert cells[-1] == {"method": "uniform-infogan", "split": "none", "seed": 0}


def test_killed_comparison_repeats_no_finished_cell(tmp_path: Path) -> None:
    first, second = run(plan(), tmp_path / "events.jsonl", most=5), run(plan(), tmp_path / "events.jsonl")
    assert len(first) + len(second) == len(plan().cells())
    assert not [trial for trial in second if trial.params in [before.params for before in first]]


def test_more_splits_and_seeds_run_what_is_new_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    run(plan(), path)
    more = run(plan(seeds=3, splits=(0, 1, 2)), path)
    assert len(more) == 3 * 3 * 3 - 3 * 2 * 2


def test_table_is_numpys_and_scipys(tmp_path: Path) -> None:
    splits = (0, 1, 2, 3, 4)
    trials = run(plan(splits=splits), tmp_path / "events.jsonl")
    rows = {row.method: row for row in rows_of(trials, METHODS_HERE)}
    assert list(rows) == list(METHODS_HERE)
    for metric in compared_metrics():
        of = {m: [measured(t.params)[metric] for t in trials if t.params["method"] == m] for m in METHODS_HERE}
        values = of["uniform-infogan"][:-1]  # the last one is that on balanced images
        row = rows["uniform-infogan"]
        assert row.means[metric] == pytest.approx(np.mean(values))
        assert row.deviations[metric] == pytest.approx(np.std(values, ddof=1))
        by_split = {
            m: np.reshape(numbers[: 2 * len(splits)], (2, len(splits))).mean(axis=0) for m, numbers in of.items()
        }
        tests = [ttest_rel(by_split[m], by_split["elastic-infogan"]).pvalue for m in METHODS_HERE[:2]]
        expected = None if metric == "nmi_real" else pytest.approx(holm_of_two(*tests))  # the same for all: no test
        assert (None if expected is None else [rows[m].p_values[metric] for m in METHODS_HERE[:2]]) == expected
    assert rows["elastic-infogan"].p_values["nmi"] is None and rows["uniform-infogan"].p_values["nmi_real"] is None
    assert rows["uniform-infogan"].splits == 5


def holm_of_two(first: float, second: float) -> list[float]:
    smaller = min(1.0, 2 * min(first, second))
    larger = max(smaller, first, second)
    return [smaller, larger] if first <= second else [larger, smaller]


def test_best_is_bold_and_whoever_knows_the_prior_does_not_compete_for_it(tmp_path: Path) -> None:
    rows = rows_of(run(plan(), tmp_path / "events.jsonl"), METHODS_HERE)
    assert best_of(rows, "nmi") == "elastic-infogan"
    assert best_of([rows[0], rows[1]], "prior_rmse") == "uniform-infogan"
    lines = markdown(rows).splitlines()
    assert lines[4].startswith("| elastic-infogan | **") and lines[2].count("**") == 2  # nmi_real is the same for all


def test_curve_of_a_method_is_the_mean_of_its_cells_on_imbalanced_images(tmp_path: Path) -> None:
    trials = run(plan(), tmp_path / "events.jsonl")
    steps, means = mean_curves(trials, METHODS_HERE)["nmi"]["uniform-infogan"]
    cells = [t for t in trials if t.params["method"] == "uniform-infogan" and t.params["split"] != "none"]
    assert steps == [50, 100]
    assert means == pytest.approx([np.mean([measured(t.params)["nmi"] for t in cells])] * 2)


def test_failed_cell_is_reported_and_not_counted() -> None:
    report = Report(100, {**measured({"method": "elastic-infogan", "split": 0, "seed": 0})}, 0.0, Decision("finished"))
    good = Trial(0, {"method": "elastic-infogan", "split": 0, "seed": 0}, 0.0, "finished", reports={100: report})
    bad = Trial(1, {"method": "elastic-infogan", "split": 1, "seed": 0}, 0.0, "failed", "the worker was lost")
    (row,) = rows_of([good, bad], ["elastic-infogan"])
    assert (row.cells, row.failed) == (1, 1)
    assert "1 (1 failed)" in markdown([row])


def test_method_without_a_finished_cell_is_no_number(tmp_path: Path) -> None:
    (row,) = rows_of([], ["joint-vae"])
    assert math.isnan(row.means["nmi"])
    write_report([], ["joint-vae"], [], tmp_path, tmp_path)
    assert "nan" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    ("text", "splits"), [("0-3", (0, 1, 2, 3)), ("0,2,5", (0, 2, 5)), ("3", (3,)), ("1,0-2", (1, 0, 2))]
)
def test_splits_are_ranges_and_lists(text: str, splits: tuple[int, ...]) -> None:
    assert parse_splits(text) == splits


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1-2-x"])
def test_splits_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--splits"):
        parse_splits(text)


def test_methods_are_all_or_named() -> None:
    assert parse_methods("all") == tuple(METHODS)
    assert parse_methods("joint-vae, elastic-infogan") == ("joint-vae", "elastic-infogan")
    with pytest.raises(ConfigError, match="did you mean 'joint-vae'"):
        parse_methods("joint-vea")
