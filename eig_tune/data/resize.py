"""The sizes of image that the networks can make, and resizing arrays of images to them.

Shape suffixes: N images, C channels, H and W their height and width, S the side of a square.
"""

import numpy as np
from numpy.typing import NDArray

SMALLEST_SIDE, LARGEST_SIDE, MULTIPLE_OF = 8, 256, 4


def is_side(side: int) -> bool:
    """Whether the networks can make images of that side."""
    return side % MULTIPLE_OF == 0 and SMALLEST_SIDE <= side <= LARGEST_SIDE


def nearest_side(side: int) -> int:
    """The side nearest to ``side`` that the networks can make."""
    return min(max(SMALLEST_SIDE, round(side / MULTIPLE_OF) * MULTIPLE_OF), LARGEST_SIDE)


def resized(pixels_NCHW: NDArray[np.uint8], size: int, channels: int) -> NDArray[np.uint8]:
    """Bilinear resize to uint8 [N, ``channels``, S, S]; grey is repeated for three channels."""
    import torch
    from torch.nn.functional import interpolate

    pixels = pixels_NCHW
    if pixels.shape[-1] != size or pixels.shape[-2] != size:
        floats = interpolate(torch.tensor(pixels, dtype=torch.float32), (size, size), mode="bilinear", antialias=True)
        pixels = floats.round_().clamp_(0, 255).to(torch.uint8).numpy()
    return np.repeat(pixels, channels // pixels.shape[1], axis=1)
