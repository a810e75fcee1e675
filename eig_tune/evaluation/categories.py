"""What each category is, seen without labels: its shares, what it looks like, and what it is mistaken for.

Shape suffixes: K categories, G generated images, M of which have 5 nearest real ones each, N training images, n images
of a category, C channels, H and W the side S.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eig_tune.evaluation.base import Array, Observations
from eig_tune.evaluation.merging import alike

_IMAGES_OF_EACH = 8
_MOST_IMAGES = 2000
EMPTY = 64  # the grey that stands for no image


@dataclass(frozen=True)
class CategoryView:
    """What is seen of every category.

    Attributes:
        real_share_K: share of the training images of which Q is surest that they are of this category.
        mean_probability_K: mean Q(k|x) over those images; 0 where there are none.
        alike_KK: how much two categories look alike to Q, 0..1, symmetric.
        surest: uint8 [K, n, C, S, S], the images of each category of which Q is surest, surest first; dark grey where
            there are fewer.
        least_sure: the same of which it is least sure, least sure first.
    """

    real_share_K: Array
    mean_probability_K: Array
    alike_KK: Array
    surest: NDArray[np.uint8]
    least_sure: NDArray[np.uint8]


def view_categories(seen: Observations, pixels_NCHW: NDArray[np.uint8]) -> CategoryView:
    """What ``seen`` says of every category; ``pixels_NCHW`` are the training images that were observed."""
    categories = len(seen.prior_K)
    each = min(_IMAGES_OF_EACH, max(1, _MOST_IMAGES // categories))
    probability_N = seen.q_NK.max(axis=1)
    surest_first = np.argsort(-probability_N, kind="stable")
    of_each = [surest_first[seen.read[surest_first] == category] for category in range(categories)]
    counts_K = np.bincount(seen.read, minlength=categories)
    sums_K = np.bincount(seen.read, weights=probability_N, minlength=categories)
    return CategoryView(
        seen.shares,
        sums_K / np.maximum(counts_K, 1),
        alike(seen.categories_G[: len(seen.nearest_M5)], seen.nearest_M5, seen.q_NK, seen.augmented_q_NK),
        _rows([indices[:each] for indices in of_each], each, pixels_NCHW),
        _rows([indices[::-1][:each] for indices in of_each], each, pixels_NCHW),
    )


def _rows(of_each: list[NDArray[np.int64]], each: int, pixels_NCHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows = np.full((len(of_each), each, *pixels_NCHW.shape[1:]), EMPTY, np.uint8)
    for row, indices in zip(rows, of_each, strict=True):
        row[: len(indices)] = pixels_NCHW[indices]
    return rows
