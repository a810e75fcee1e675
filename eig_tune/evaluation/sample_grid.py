"""The grid of a model's samples, a row for each category, with the category and its learned share beside it.

Shape suffixes: K categories, n samples of each, C classes (of tables) or channels (of samples), S the side of an image.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from eig_tune.evaluation.base import Array
from eig_tune.evaluation.lettering import font, ink
from eig_tune.evaluation.metrics import class_of_category

_GAP = 1
_MOST_PIXELS = 60_000_000  # Pillow takes a picture of half as much again for an attack
_LETTERS, _LOWEST_ROW, _MARGIN = 11, 10, 4  # pixels: of a label, of a row that has one, and beside it
_DARK, _WHITE, _BLACK = 64, 255, 0


def row_labels(prior_K: Array, categories: Sequence[int] | None = None) -> list[str]:
    """``3  12.4%``: the category and its learned share, for each of ``categories``, or for all."""
    wanted = range(len(prior_K)) if categories is None else categories
    return [f"{category}  {prior_K[category]:.1%}" for category in wanted]


def sample_picture(samples_KnCSS: NDArray[np.uint8], labels: Sequence[str] = (), scale: int = 2) -> Image.Image:
    """A grid of samples, one row per category, ``scale`` screen pixels per image pixel unless it gets too large.

    Args:
        samples_KnCSS: the samples.
        labels: what stands left of each row, where rows are high enough to be read; nothing where it is empty.
        scale: screen pixels of an image pixel.
    """
    categories, per_category, channels, size, _ = samples_KnCSS.shape
    cell = size + _GAP
    grid = np.full((categories * cell + _GAP, per_category * cell + _GAP, channels), _DARK, np.uint8)
    for row in range(categories):
        for column in range(per_category):
            top, left = row * cell + _GAP, column * cell + _GAP
            grid[top : top + size, left : left + size] = samples_KnCSS[row, column].transpose(1, 2, 0)
    picture = Image.fromarray(grid[:, :, 0] if channels == 1 else grid)
    largest = (_MOST_PIXELS / (picture.width * picture.height)) ** 0.5
    if largest < 1:
        return picture.resize((int(picture.width * largest), int(picture.height * largest)), Image.Resampling.BOX)
    scale = min(scale, int(largest))
    scaled = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    return _labelled(scaled, labels, cell * scale, channels) if cell * scale >= _LOWEST_ROW and labels else scaled


def _labelled(grid: Image.Image, labels: Sequence[str], row: int, channels: int) -> Image.Image:
    """The grid with a label left of each of its rows, which are ``row`` pixels high."""
    letters = font(_LETTERS)
    left = int(max(letters.getlength(label) for label in labels)) + 2 * _MARGIN
    picture = Image.new(grid.mode, (left + grid.width, grid.height), ink(_WHITE, channels))
    picture.paste(grid, (left, 0))
    draw = ImageDraw.Draw(picture)
    for number, label in enumerate(labels):
        draw.text((left - _MARGIN, number * row + row // 2), label, ink(_BLACK, channels), letters, anchor="rm")
    return picture


def ordered_rows(samples: Image.Image, table_KC: Array) -> Image.Image:
    """The picture of :func:`sample_picture` with its rows in the order of the classes that they show."""
    order = np.argsort(class_of_category(table_KC), kind="stable")
    pixels = np.asarray(samples)
    edge = pixels.shape[0] % len(order)
    rows = np.split(pixels[edge:], len(order))
    return Image.fromarray(np.concatenate([pixels[:edge], *(rows[category] for category in order)]))
