"""What the categories of a model are, as a table and in words."""

import json
from pathlib import Path

import numpy as np
import pytest
from logged import logged
from PIL import Image

from eig_tune.evaluation.record import CategoryRecord, EvaluationRecord
from eig_tune.reports.categories import (
    CATEGORIES_JSON,
    CATEGORIES_PICTURE,
    Category,
    categories_of,
    empty_in_words,
    has_classes,
    read_categories,
    table_of,
    what_was_checked,
    write_categories,
)
from eig_tune.reports.phrases import table_cell

PICTURE = Image.new("L", (30, 20), 7)
ALIKE = np.array([[1.0, 0.35, 0.01], [0.35, 1.0, 0.0], [0.01, 0.0, 1.0]])
SEEN = CategoryRecord(np.array([0.5, 0.3, 0.2]), np.array([0.9, 0.8, 0.0]), ALIKE, PICTURE)
PRIOR = np.array([0.6, 0.25, 0.15])
TABLE = np.array([[8.0, 2.0], [1.0, 9.0], [6.0, 4.0]])


def record(*, labelled: bool, seen: CategoryRecord | None = SEEN) -> EvaluationRecord:
    shares = np.array([0.5, 0.5]) if labelled else None
    return EvaluationRecord({}, TABLE if labelled else None, PRIOR, shares, PICTURE, seen)


def test_row_of_each_category() -> None:
    assert table_of(categories_of(record(labelled=False), ())) == [
        {"category": "0", "prior": "60.0%", "images": "50.0%", "mean Q": "0.90", "looks like": "1 (0.35)"},
        {"category": "1", "prior": "25.0%", "images": "30.0%", "mean Q": "0.80", "looks like": "0 (0.35)"},
        {"category": "2", "prior": "15.0%", "images": "20.0%", "mean Q": "0.00", "looks like": "–"},
    ]


def test_name_of_a_class_breaks_no_line_and_no_table() -> None:
    (row, *_) = table_of(categories_of(record(labelled=True), ("a|b\x1b[2J\n", "dog")))
    assert "\n" not in row["shows"] and "\x1b" not in row["shows"]
    assert table_cell(row["shows"]).startswith(r"a\|b")


def test_with_labels_the_class_that_each_shows_is_there_too() -> None:
    categories = categories_of(record(labelled=True), ("cat", "dog"))
    assert [row["shows"] for row in table_of(categories)] == ["cat", "dog", "cat"]
    assert has_classes(categories)
    assert not has_classes(categories_of(record(labelled=False), ()))


@pytest.mark.parametrize("labelled", [True, False])
def test_written_categories_are_read_back(tmp_path: Path, labelled: bool) -> None:
    classes = ("cat", "dog") if labelled else ()
    write_categories(record(labelled=labelled), classes, tmp_path)
    assert read_categories(tmp_path) == categories_of(record(labelled=labelled), classes)
    with Image.open(tmp_path / CATEGORIES_PICTURE) as picture:
        assert picture.size == PICTURE.size


def test_evaluation_of_an_earlier_version_has_no_categories(tmp_path: Path) -> None:
    write_categories(record(labelled=True, seen=None), ("cat", "dog"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_categories(tmp_path) == []


GOOD = {"category": 0, "prior": 0.5, "images": 0.5, "mean_probability": 1, "alike": {"1": 0.3}, "shows": ""}


@pytest.mark.parametrize(
    "damaged", ["{", "[3]", "{}", '"text"', json.dumps([{**GOOD, "alike": 3}]), json.dumps([{**GOOD, "prior": None}])]
)
def test_damaged_file_shows_no_categories_and_says_so(tmp_path: Path, damaged: str) -> None:
    (tmp_path / CATEGORIES_JSON).write_text(damaged)
    with logged() as log:
        assert read_categories(tmp_path) == []
    assert damaged == "{}" or "categories.json is damaged" in log.text
    (tmp_path / CATEGORIES_JSON).write_text(json.dumps([GOOD]))
    assert read_categories(tmp_path) == [Category(0, 0.5, 0.5, 1.0, {1: 0.3})]


def test_metrics_are_told_in_sentences_as_far_as_they_are_there() -> None:
    sentences = what_was_checked({"neighbour_nmi": 0.834, "prior_share_gap": 0.2, "nmi": 0.5})
    assert len(sentences) == 2
    assert "neighbour_nmi 0.83" in sentences[0] and "For 20% of the images" in sentences[1]


def test_categories_without_an_image_are_named_and_the_most_alike_come_first() -> None:
    alike = {1: 0.21, 2: 0.5, 3: 0.3, 4: 0.25}
    categories = [Category(0, 0.5, 1.0, 0.9, alike), Category(1, 0.5, 0.0, 0.0, {})]
    assert empty_in_words(categories) == "Q puts no image into 1 of the 2 categories: 1."
    assert empty_in_words(categories[:1]) == ""
    assert table_of(categories)[0]["looks like"] == "2 (0.50), 3 (0.30), 4 (0.25), …"
