"""One picture of all categories of a model, for whoever has no labels and has to look.

Shape suffixes: K categories, n images of each, C channels, S the side of an image, H and W of a cell of the picture.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from eig_tune.evaluation.base import Array
from eig_tune.evaluation.categories import EMPTY, CategoryView
from eig_tune.evaluation.lettering import font, ink

_TITLES = ("generated", "real, Q is surest", "real, Q is least sure")
_WHITE, _BLACK, _GREY = 255, 0, 70
_LINE = 12  # pixels that a line of text needs
_SMALLEST, _LARGEST = 40, 64  # pixels of a cell: three lines of text; a face can be told
_TALLEST = 32_000  # pixels; MLflow's small copy of a picture is 256 high and must be one wide
_GAP, _BETWEEN, _MARGIN, _HEAD = 1, 10, 6, 20


def category_picture(samples_KnCSS: NDArray[np.uint8], prior_K: Array, seen: CategoryView) -> Image.Image:
    """A row per category: its number and shares, generated images, real ones of which Q is surest, and real ones of
    which it is least sure. A category that has fewer real images has fewer in its row.

    Args:
        samples_KnCSS: generated images; as many are shown as there are real ones.
        prior_K: the learned shares.
        seen: what is known of every category.
    """
    categories, each, channels, size, _ = seen.surest.shape
    side = _side(size, categories)
    parts = [_part(images, side) for images in (samples_KnCSS[:, :each], seen.surest, seen.least_sure)]
    texts = [_texts(*shares) for shares in zip(prior_K, seen.real_share_K, seen.mean_probability_K, strict=True)]
    numbers, words = font(15), font(11)
    left = int(numbers.getlength(str(categories - 1))) + 2 * _MARGIN
    beside = left + int(max(words.getlength(line) for lines in texts for line in lines)) + 2 * _MARGIN
    height = categories * (side + _GAP) + _HEAD + _MARGIN
    width = beside + sum(part.shape[1] + _BETWEEN for part in parts)
    picture = Image.new("L" if channels == 1 else "RGB", (width, height), ink(_WHITE, channels))
    draw, at = ImageDraw.Draw(picture), beside
    black, grey = (ink(shade, channels) for shade in (_BLACK, _GREY))
    for title, part in zip(_TITLES, parts, strict=True):
        picture.paste(Image.fromarray(part if channels == 3 else part[:, :, 0]), (at, _HEAD))
        if part.shape[1] > words.getlength(title):
            draw.text((at, _HEAD // 2), title, black, words, anchor="lm")
        at += part.shape[1] + _BETWEEN
    for category, lines in enumerate(texts):
        middle = _HEAD + category * (side + _GAP) + side // 2
        draw.text((left - _MARGIN, middle), str(category), black, numbers, anchor="rm")
        shown = lines[: max(1, side // _LINE)]
        for line, text in enumerate(shown):
            draw.text((left, middle + _LINE * line - _LINE * (len(shown) - 1) // 2), text, grey, words, anchor="lm")
    return picture


def _texts(prior: float, share: float, probability: float) -> list[str]:
    """The lines beside a row, the most important ones first: where cells are small there is room for some only."""
    return [f"prior {prior:.1%}", f"images {share:.1%}", f"mean Q {probability:.2f}"]


def _side(size: int, categories: int) -> int:
    """Pixels of a cell: images of a few pixels are magnified whole times, large ones and very many made smaller."""
    whole = size * -(-_SMALLEST // size) if size < _SMALLEST else min(size, _LARGEST)
    return max(1, min(whole, _TALLEST // categories - _GAP))


def _part(images_KnCSS: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The rows of one kind of image [K (side + 1), n (side + 1), C] on white, where there is no image."""
    categories, each, channels, _, _ = images_KnCSS.shape
    cells_KnHWC = np.full((categories, each, side + _GAP, side + _GAP, channels), _WHITE, np.uint8)
    for category in range(categories):
        for number in range(each):
            image_SSC = images_KnCSS[category, number].transpose(1, 2, 0)
            if (image_SSC == EMPTY).all():
                continue
            cells_KnHWC[category, number, :side, :side] = _resized(image_SSC, side)
    rows: NDArray[np.uint8] = cells_KnHWC.transpose(0, 2, 1, 3, 4).reshape(
        categories * (side + _GAP), each * (side + _GAP), channels
    )
    return rows


def _resized(image_SSC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    size, _, channels = image_SSC.shape
    if side % size == 0:
        return image_SSC.repeat(side // size, axis=0).repeat(side // size, axis=1)
    picture = Image.fromarray(image_SSC if channels == 3 else image_SSC[:, :, 0])
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX)).reshape(side, side, channels)
