"""The sizes of image that the networks can make, and resizing arrays of images to them.

Shape suffixes: N images, C channels, H and W their height and width, S the side of a square.
"""

import numpy as np
from numpy.typing import NDArray

SMALLEST_SIDE, LARGEST_SIDE, MULTIPLE_OF = 8, 256, 4
_AT_ONCE = 4096  # images whose floats are in memory at once
_LUMA = np.array([19595, 38470, 7471], np.uint32)  # ITU-R 601 in 2⁻¹⁶, as Pillow has it


def is_side(side: int) -> bool:
    """Whether the networks can make images of that side."""
    return side % MULTIPLE_OF == 0 and SMALLEST_SIDE <= side <= LARGEST_SIDE


def nearest_side(side: int) -> int:
    """The side nearest to ``side`` that the networks can make."""
    return min(max(SMALLEST_SIDE, round(side / MULTIPLE_OF) * MULTIPLE_OF), LARGEST_SIDE)


def resized(pixels_NCHW: NDArray[np.uint8], size: int, channels: int) -> NDArray[np.uint8]:
    """Bilinear resize to uint8 [N, ``channels``, S, S]; grey is repeated for three channels, colour is made grey for
    one."""
    pixels = pixels_NCHW
    if channels == 1 and pixels.shape[1] == 3:
        pixels = np.concatenate([_grey(part) for part in _parts(pixels)])
    if pixels.shape[2:] != (size, size):
        pixels = np.concatenate([_interpolated(part, size) for part in _parts(pixels)])
    return pixels if pixels.shape[1] == channels else np.repeat(pixels, channels // pixels.shape[1], axis=1)


def _parts(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [pixels[start : start + _AT_ONCE] for start in range(0, max(1, len(pixels)), _AT_ONCE)]


def _grey(pixels_N3HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    luma = np.einsum("nchw,c->nhw", pixels_N3HW.astype(np.uint32), _LUMA)
    grey: NDArray[np.uint8] = ((luma + 2**15) >> 16).astype(np.uint8)[:, None]
    return grey


def _interpolated(pixels_NCHW: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    import torch
    from torch.nn.functional import interpolate

    floats = torch.tensor(pixels_NCHW, dtype=torch.float32)
    floats = interpolate(floats, (size, size), mode="bilinear", antialias=True)
    resized: NDArray[np.uint8] = floats.round_().clamp_(0, 255).to(torch.uint8).numpy()
    return resized
