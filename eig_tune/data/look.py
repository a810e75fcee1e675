"""A look at some images before a space exists: how large they are, whether they have colours, and what is in them.

Shape suffixes: N images, H and W their height and width, S the side to which they are scaled; 3 colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eig_tune.data.images import Images
from eig_tune.data.pixels import Unreadable, decode, formats, open_regular
from eig_tune.data.reading import in_parallel
from eig_tune.data.resize import resized

MOST_LOOKED_AT = 256
_SIDE = 32  # at which they are looked at
_COLOURED = 8  # levels of 255 between the largest and the smallest of red, green and blue, on average
_LIKE_GROUND = 32  # levels of 255 that the ground may vary
_REACH = 5  # pixels: what has its like so far away on all four sides is an area, and no stroke


@dataclass(frozen=True)
class Look:
    """What some images of a data set look like.

    Attributes:
        sizes: width and height of each, as they lie there.
        pixels: uint8 [N, 3, S, S], their middle squares.
    """

    sizes: Sequence[tuple[int, int]]
    pixels: NDArray[np.uint8]

    @property
    def side(self) -> int:
        """The shorter side of half of them is so long or longer."""
        return sorted(min(size) for size in self.sizes)[len(self.sizes) // 2]

    @property
    def smallest(self) -> tuple[int, int]:
        """The least width and the least height, which may be of two images."""
        return min(width for width, _ in self.sizes), min(height for _, height in self.sizes)

    @property
    def largest(self) -> tuple[int, int]:
        """The greatest width and the greatest height."""
        return max(width for width, _ in self.sizes), max(height for _, height in self.sizes)

    @property
    def coloured(self) -> bool:
        """Whether there are colours in them, and not greys in a file that could have colours."""
        spread_NHW = np.ptp(self.pixels.astype(np.int64), axis=1)
        return bool(spread_NHW.mean() >= _COLOURED)

    @property
    def ground(self) -> float:
        """Share of the pixels that are as the border of their image is: near 1 for signs on an even ground."""
        return 1 - float(self._figure().mean())

    @property
    def filled(self) -> float:
        """Share of the figure on that ground which lies inside an area: small where the figure is made of strokes."""
        figure_NHW = self._figure()
        inside = figure_NHW.copy()
        for axis in (1, 2):
            for shift in (-_REACH, _REACH):
                inside &= np.roll(figure_NHW, shift, axis)
        return float(inside.sum() / max(1, figure_NHW.sum()))

    def _figure(self) -> NDArray[np.bool_]:
        """[N, H, W]: where an image is not as its border."""
        grey_NHW = self.pixels.mean(axis=1)
        border = np.concatenate([grey_NHW[:, [0, -1]].reshape(len(grey_NHW), -1),
                                 grey_NHW[:, :, [0, -1]].reshape(len(grey_NHW), -1)], axis=1)  # fmt: skip
        figure: NDArray[np.bool_] = np.abs(grey_NHW - np.median(border, axis=1)[:, None, None]) > _LIKE_GROUND
        return figure


def look_at_files(files: Sequence[Path]) -> Look | None:
    """A look at some of these image files, evenly spread; None where none of them can be read."""
    seen = [found for found in in_parallel(_seen, [files[i] for i in _spread(len(files))]) if found is not None]
    return Look([size for size, _ in seen], np.stack([pixels for _, pixels in seen])) if seen else None


def look_at_images(images: Images, size: tuple[int, int]) -> Look:
    """A look at some of the images that were read, which are of that width and height where they lie."""
    pixels = resized(images.read(_spread(len(images))), _SIDE, 3)
    return Look([size] * len(pixels), pixels)


def _seen(file: Path) -> tuple[tuple[int, int], NDArray[np.uint8]] | None:
    try:
        with open_regular(file) as opened:
            with Image.open(opened, formats=formats()) as image:
                size = image.size
            opened.seek(0)
            return size, decode(opened, _SIDE, 3)
    except (Unreadable, OSError, ValueError, Image.DecompressionBombError):
        return None


def _spread(count: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, MOST_LOOKED_AT)).astype(np.int64)
