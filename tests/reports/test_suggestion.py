"""What the runs of suggest-k say about the number of categories, as table, files and words."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from eig_tune.errors import ConfigError
from eig_tune.evaluation.record import EVALUATION_FILE
from eig_tune.hpo.trial import Decision, Report, Status, Trial
from eig_tune.reports.suggestion import RULE, in_words, markdown, suggest, write_suggestion
from eig_tune.workflows.suggest_k import SuggestionPlan, parse_categories

CLASSES = np.arange(120) % 3
LABELS = {"nmi": 0.5, "nmi_real": 0.5}


def trial(number: int, categories: int, seed: int, status: Status = "finished", **metrics: float) -> Trial:
    reached = {"augment_information": 0.1 * categories, "label_free_score": 0.5 + 0.1 * seed, **metrics}
    report = Report(100, reached, 0.0, Decision(status))
    return Trial(number, {"categories": categories, "seed": seed}, 0.0, status, reports={100: report})


def write_evaluation(folder: Path, number: int, assigned: list[int]) -> None:
    (folder / str(number)).mkdir(parents=True)
    (folder / str(number) / EVALUATION_FILE).write_text(json.dumps({"assigned": assigned}))


@pytest.fixture
def evaluations(tmp_path: Path) -> Path:
    """Of the runs 0 to 2 with 2 categories, which agree on little, and 3 to 5 with 3, which agree on all but one."""
    for number in range(3):
        write_evaluation(tmp_path, number, np.random.default_rng(number).integers(2, size=120).tolist())
    for number in range(3, 6):
        assigned = (CLASSES + number) % 3
        assigned[number] = 0
        write_evaluation(tmp_path, number, assigned.tolist())
    return tmp_path


def runs(**metrics: float) -> list[Trial]:
    return [trial(number, 2 + number // 3, number % 3, "finished", **metrics) for number in range(6)]


def test_rows_have_agreement_means_and_seeds(evaluations: Path) -> None:
    found = suggest(runs(), (2, 3), evaluations)
    assert found.recommended == 3 and found.certainty == pytest.approx(1)
    two, three = found.rows
    assert (two.categories, two.seeds, two.failed, two.recommended) == (2, 3, 0, 0)
    assert two.agreement < 0.1
    assert three.agreement > 0.9 and three.error < 0.05
    assert two.means == pytest.approx({"augment_information": 0.2, "label_free_score": 0.6})


def test_what_is_lacking_is_left_out_and_counted(evaluations: Path) -> None:
    trials = [*runs()[:4], trial(4, 3, 1, "failed"), trial(7, 3, 3), trial(8, 3, 4, "running")]
    found = suggest(trials, (2, 3, 5), evaluations)
    assert [(row.seeds, row.failed) for row in found.rows] == [(3, 0), (1, 2), (0, 0)]
    assert [math.isnan(row.agreement) for row in found.rows] == [False, True, True]
    assert found.recommended == 2
    nothing = suggest([], (2, 3), evaluations)
    assert nothing.recommended is None and nothing.certainty == 0
    assert "two finished runs" in in_words(nothing)[0]


def test_words_say_that_a_larger_number_may_be_better_and_that_labels_were_not_used(evaluations: Path) -> None:
    words = " ".join(in_words(suggest(runs(**LABELS), (2, 3), evaluations)))
    assert "K = 3" in words and "100% of resamples" in words
    assert "--categories 2,3,4" in words and "not used for the choice" in words
    more = " ".join(in_words(suggest(runs(), (2, 3, 5), evaluations)))
    assert "larger" not in more and "labels" not in more


def test_no_word_of_labels_where_there_are_none(evaluations: Path) -> None:
    text = markdown(suggest(runs(), (2, 3, 5), evaluations))
    assert "nmi" not in text and "label" not in text.replace("label_free_score", "")
    assert "| **3** |" in text and RULE in text


def test_files_are_written(evaluations: Path, tmp_path: Path) -> None:
    write_suggestion(suggest(runs(**LABELS), (2, 3, 5), evaluations), tmp_path)
    with (tmp_path / "agreement.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["categories"] for row in rows] == ["2", "3", "5"]
    assert float(rows[0]["nmi"]) == 0.5 and rows[2]["nmi"] == ""
    assert (tmp_path / "agreement.png").stat().st_size > 5000
    assert "| K | agreement |" in (tmp_path / "table.md").read_text()


def test_runs_are_every_seed_of_every_number() -> None:
    plan = SuggestionPlan((2, 5), 3)
    assert [(run["categories"], run["seed"]) for run in plan.runs()] == [(2, 0), (5, 0), (2, 1), (5, 1), (2, 2), (5, 2)]
    with pytest.raises(ConfigError, match="--seeds: got 2"):
        SuggestionPlan((2, 5), 2)


def test_categories_are_numbers_in_order() -> None:
    assert parse_categories("10, 2,5,2") == (2, 5, 10)


@pytest.mark.parametrize("text", ["", "a,b", "5", "1,2", "2,1001", "2;3", "2,2"])
def test_categories_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--categories: got"):
        parse_categories(text)
