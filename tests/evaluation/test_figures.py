"""Figures with classes as people name them: many, long, with signs that matplotlib reads as formulas or cannot draw."""

import io
import time
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from eig_tune.evaluation.figures import prior_figure, table_figure

ODD = ["a$b$c", "$\\frac{", "cost_{2}^$", "[bold]x[/]", "x" * 200, "日本", "🫠", "🐱", "\\xff", "a\\nb", "plain"]


def drawn(classes: list[str], categories: int = 10) -> tuple[Figure, Figure]:
    """Both figures of these classes, drawn, with every warning an error."""
    rng = np.random.default_rng(0)
    table_KC, prior_K = rng.random((categories, len(classes))), np.full(categories, 1 / categories)
    shares_C = np.full(len(classes), 1 / len(classes))
    figures = table_figure(table_KC, classes), prior_figure(table_KC, prior_K, shares_C, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in figures:
            figure.savefig(io.BytesIO(), dpi=110)
    return figures


def labels(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_any_name_of_a_class_is_drawn_as_it_is_or_as_its_number() -> None:
    for figure in drawn(ODD):
        assert labels(figure) == [*ODD[:4], "x" * 23 + "…", "#5", "#6", *ODD[7:]]


@pytest.mark.parametrize("classes", [["0", "1"], [str(number) for number in range(40)]])
def test_few_classes_are_all_named(classes: list[str]) -> None:
    for figure in drawn(classes):
        assert labels(figure) == classes


def test_thousands_of_classes_are_drawn_in_seconds() -> None:
    started = time.process_time()
    for figure in drawn([f"class {number:04}" for number in range(5000)]):
        assert 10 <= len(labels(figure)) <= 150
        assert labels(figure)[0] == "class 0000"
    assert time.process_time() - started < 10
