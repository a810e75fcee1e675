"""Every grid of samples says which category a row is, and its learned share."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from eig_tune.evaluation.sample_grid import ordered_rows, row_labels, sample_picture

LABELS = row_labels(np.array([0.5, 0.123, 0.377]))


def samples(size: int = 8, channels: int = 1) -> NDArray[np.uint8]:
    """Three categories: black, grey, white."""
    shades = np.array([0, 128, 255], np.uint8)[:, None, None, None, None]
    return np.broadcast_to(shades, (3, 4, channels, size, size)).copy()


def test_label_has_number_and_share() -> None:
    assert LABELS == ["0  50.0%", "1  12.3%", "2  37.7%"]
    assert row_labels(np.array([0.5, 0.123, 0.377]), [2, 0]) == ["2  37.7%", "0  50.0%"]


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (64, 1)])
def test_labels_stand_left_of_the_grid_in_the_middle_of_their_rows(size: int, channels: int) -> None:
    plain, labelled = sample_picture(samples(size, channels)), sample_picture(samples(size, channels), LABELS)
    assert (labelled.height, labelled.mode) == (plain.height, plain.mode)
    left = labelled.width - plain.width
    assert np.array_equal(np.asarray(labelled)[:, left:], np.asarray(plain)), "the grid itself is as it was"
    margin = np.asarray(labelled.convert("L"))[:, :left]
    row = 2 * (size + 1)
    for number in range(3):
        dark = np.flatnonzero((margin[number * row : (number + 1) * row] < 128).any(axis=1))
        assert len(dark) > 4 and abs(dark.mean() - row / 2) < 3


def test_rows_that_are_too_low_to_be_read_have_no_labels() -> None:
    assert sample_picture(samples(2), LABELS).size == sample_picture(samples(2)).size


def test_rows_are_ordered_with_their_labels() -> None:
    picture = sample_picture(samples(), LABELS)
    table = np.array([[0, 0, 9], [0, 9, 0], [9, 0, 0]], dtype=np.float64)
    ordered = ordered_rows(picture, table)
    row, edge = 2 * 9, 2
    assert ordered.size == picture.size
    first, last = (Image.fromarray(np.asarray(picture)[edge + n * row :][:row]) for n in (0, 2))
    assert np.array_equal(np.asarray(ordered)[edge : edge + row], np.asarray(last))
    assert np.array_equal(np.asarray(ordered)[edge + 2 * row :], np.asarray(first))
