"""The test of a comparison keeps its level: splits are independent, seeds on a split are not, p is corrected."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from eig_tune.evaluation.registry import compared_metrics
from eig_tune.hpo.trial import Decision, Report, Trial
from eig_tune.models import METHODS
from eig_tune.reports.comparison import Row, markdown, p_in_words, rows_of
from eig_tune.reports.comparison_report import write_report
from eig_tune.reports.paired_test import FEWEST_SPLITS, Cell, differences_of_splits, holm, p_value

REFERENCE = "elastic-infogan"
OTHERS = tuple(method for method in METHODS if method != REFERENCE)


def cells(
    splits: int, seeds: int, seed: int, effect: float = 0.0, methods: tuple[str, ...] = tuple(METHODS)
) -> list[Trial]:
    """Each method does better or worse on a split, as much with all seeds; all are equally good on average.

    Args:
        effect: how much better the reference is.
    """
    random = np.random.default_rng(seed)
    trials = []
    for method in methods:
        for split, of_split in enumerate(0.05 * random.standard_normal(splits)):
            for number in range(seeds):
                nmi = 0.7 + of_split + 0.02 * random.standard_normal() + effect * (method == REFERENCE)
                trials.append(cell(method, split, number, dict.fromkeys(compared_metrics(), nmi)))
    return trials


def cell(method: str, split: int, seed: int, metrics: Mapping[str, float], status: str = "finished") -> Trial:
    reports = {100: Report(100, metrics, 0.0, Decision("finished"))}
    return Trial(0, {"method": method, "split": split, "seed": seed}, 0.0, status, reports=reports)  # type: ignore[arg-type]


def found(trials: list[Trial], metric: str = "nmi") -> list[str]:
    return [row.method for row in rows_of(trials, list(METHODS)) if (row.p_values[metric] or 1.0) < 0.05]


@pytest.mark.parametrize(("splits", "seeds"), [(5, 2), (4, 4)])
def test_table_in_which_no_method_differs_names_one_in_5_percent_of_cases_at_most(splits: int, seeds: int) -> None:
    tables = 200
    false = sum(bool(found(cells(splits, seeds, seed))) for seed in range(tables))
    standard_error = (0.05 * 0.95 / tables) ** 0.5
    assert false / tables <= 0.05 + 2.6 * standard_error, "more would be by chance in 0.5 % of cases"


def test_method_that_is_worse_is_found_with_five_splits() -> None:
    assert sum(len(found(cells(5, 2, seed, effect=0.4))) for seed in range(20)) >= 0.9 * 20 * len(OTHERS)


def test_more_seeds_are_no_more_independent_samples() -> None:
    """The same five differences between splits, from one seed or from twenty."""
    once = [
        cell(m, s, 0, dict.fromkeys(compared_metrics(), 0.7 + 0.01 * s * (m == REFERENCE)))
        for m in METHODS
        for s in range(5)
    ]
    twenty = [
        cell(str(t.params["method"]), int(t.params["split"]), n, t.reports[100].metrics)
        for t in once
        for n in range(20)
    ]
    for few, many in zip(rows_of(once, list(METHODS)), rows_of(twenty, list(METHODS)), strict=True):
        assert few.p_values["nmi"] == pytest.approx(many.p_values["nmi"])
        assert few.splits == many.splits == 5


def test_runs_are_paired_by_split_and_seed_and_averaged_over_a_splits_seeds() -> None:
    ours: dict[Cell, float] = {(0, 0): 3.0, (0, 1): 5.0, (1, 0): 7.0, (2, 0): 9.0}
    theirs: dict[Cell, float] = {(0, 0): 1.0, (0, 1): 1.0, (1, 1): 1.0, (2, 0): 1.0}
    assert differences_of_splits(ours, theirs) == [3.0, 8.0], "on split 1 they have no seed in common"


@pytest.mark.parametrize("differences", [[], [1.0], [1.0, 2.0, 3.0], [0.0] * 9, [0.5] * 9])
def test_there_is_no_p_where_there_is_nothing_to_test(differences: list[float]) -> None:
    assert p_value(differences) is None


def test_holms_correction_is_that_of_his_paper() -> None:
    """Compared one by one with level / (how many are left): rejected are those up to the first that fails."""
    random = np.random.default_rng(0)
    for _ in range(200):
        raw = dict(enumerate((random.random(6) ** 3).tolist()))
        level = float(random.random())
        rejected = set[int]()
        for passed, number in enumerate(sorted(raw, key=raw.__getitem__)):
            if raw[number] > level / (6 - passed):
                break
            rejected.add(number)
        corrected = holm({str(number): p for number, p in raw.items()})
        assert {int(name) for name, p in corrected.items() if p is not None and p <= level} == rejected
    assert holm({"a": None, "b": 0.02, "c": 0.01}) == {"a": None, "b": 0.02, "c": 0.02}


def caption(rows: list[Row]) -> str:
    assert p_in_words(rows) in markdown(rows)
    return p_in_words(rows)


def test_table_says_what_was_tested_or_why_nothing_was(tmp_path: Path) -> None:
    enough, few = cells(5, 2, 0), cells(FEWEST_SPLITS - 1, 2, 0)
    assert "paired t-test against elastic-infogan over splits" in caption(rows_of(enough, list(METHODS)))
    assert "There is none: it takes 4 splits" in caption(rows_of(few, list(METHODS)))
    assert {row.p_values["nmi"] for row in rows_of(few, list(METHODS))} == {None}
    failed = [t for t in enough if t.params["method"] != "joint-vae" or int(t.params["split"]) > 1]
    rows = rows_of(failed, list(METHODS))
    assert "There is none for joint-vae:" in caption(rows)
    write_report(failed, list(METHODS), [], tmp_path, tmp_path)
    lines = {line["method"]: line for line in csv.DictReader((tmp_path / "table.csv").read_text().splitlines())}
    assert lines["joint-vae"]["nmi_p_holm"] == "" and lines["joint-vae"]["splits"] == "3"
    assert float(lines["uniform-infogan"]["nmi_p_holm"]) == pytest.approx(rows[0].p_values["nmi"])
