"""The picture of all categories."""

import numpy as np
import pytest
from numpy.typing import NDArray

from eig_tune.evaluation.categories import EMPTY, CategoryView
from eig_tune.evaluation.category_picture import category_picture

RNG = np.random.default_rng(0)
Pixels = NDArray[np.uint8]


def noise(categories: int, each: int, channels: int, size: int) -> Pixels:
    return RNG.integers(0, 256, (categories, each, channels, size, size)).astype(np.uint8)


def view(surest: Pixels, least_sure: Pixels) -> CategoryView:
    shares = np.full(len(surest), 1 / len(surest))
    return CategoryView(shares, shares, np.eye(len(surest)), surest, least_sure)


def drawn(samples: Pixels, seen: CategoryView) -> Pixels:
    return np.asarray(category_picture(samples, seen.real_share_K, seen))


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 16), (1, 28), (3, 64)])
def test_every_image_is_there_magnified_whole_times(channels: int, size: int) -> None:
    samples, surest, least_sure = noise(3, 10, channels, size), noise(3, 8, channels, size), noise(3, 8, channels, size)
    picture = drawn(samples, view(surest, least_sure)).reshape(-1, channels)
    width = drawn(samples, view(surest, least_sure)).shape[1]
    side = size * -(-40 // size) if size < 40 else size
    first = 20 * width
    for part, images in enumerate((samples, surest, least_sure)):
        right = width - 10 - (2 - part) * (8 * (side + 1) + 10)
        for category in range(3):
            for number in range(8):
                left, top = right - (8 - number) * (side + 1), category * (side + 1)
                corners = np.arange(size) * (side // size)
                at = first + (top + corners)[:, None] * width + left + corners
                np.testing.assert_array_equal(picture[at], images[category, number].transpose(1, 2, 0))


def test_category_of_fewer_images_has_white_in_their_place() -> None:
    samples, surest = noise(2, 8, 1, 16), noise(2, 8, 1, 16)
    surest[1, 3:] = EMPTY
    rows = drawn(samples, view(surest, surest))[20:]
    assert (rows[49:97, -10 - 5 * 49 :] == 255).all()
    assert not (rows[:48, -10 - 5 * 49 :] == 255).all()


@pytest.mark.parametrize(("categories", "each", "size"), [(2, 8, 8), (100, 8, 64), (1000, 2, 64), (5, 8, 256)])
def test_picture_can_be_opened_and_made_small_however_many_categories(categories: int, each: int, size: int) -> None:
    """As for the samples: Pillow opens 89 million pixels without a warning; MLflow's small copy is 256 pixels high."""
    images = np.zeros((categories, each, 1, size, size), np.uint8)
    picture = category_picture(images, np.full(categories, 1 / categories), view(images, images))
    assert picture.width * picture.height < 89_000_000
    assert picture.width * 256 // picture.height >= 1
    assert picture.mode == "L"


def test_number_and_shares_stand_beside_each_row() -> None:
    images = np.full((3, 8, 1, 16, 16), 255, np.uint8)
    page = drawn(images, view(images, images))
    for category in range(3):
        row = page[20 + 49 * category : 20 + 49 * category + 48, :100]
        assert (row < 128).sum() > 100, "nothing is written there"
