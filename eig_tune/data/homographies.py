"""Homographies of image planes, one per image of a batch: made from what they do, and applied.

Written out instead of taken from a library of computer vision, whose general solvers take a third of the kernels of a
training step on a GPU and copy from the device to the host.

Shape suffixes: N images, C channels, H and W the side S, P = S² pixels; N33 a 3 × 3 homography of each that maps
positions (x, y, 1) in pixels, N42 x and y of the four corners, clockwise from the first pixel, N2 of one position.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


def affine_about_centre(size: int, turns_N: Tensor, scales_N: Tensor, slopes_N2: Tensor, shifts_N2: Tensor) -> Tensor:
    """Homographies [N, 3, 3] that shear, then scale, then turn about the centre of ``size`` × ``size`` pixels, then
    shift.

    Args:
        turns_N: angles in radians.
        scales_N: factors.
        slopes_N2: pixels in x per pixel of y, and pixels in y per pixel of x.
        shifts_N2: in pixels.
    """
    cos_N, sin_N = scales_N * turns_N.cos(), scales_N * turns_N.sin()
    along_x_N, along_y_N = slopes_N2.unbind(1)
    a_N, b_N = cos_N + sin_N * along_y_N, cos_N * along_x_N + sin_N
    c_N, d_N = cos_N * along_y_N - sin_N, cos_N - sin_N * along_x_N
    middle = (size - 1) / 2
    x_N, y_N = (middle + shifts_N2).unbind(1)
    zero_N, one_N = torch.zeros_like(a_N), torch.ones_like(a_N)
    rows = (
        *(a_N, b_N, x_N - middle * (a_N + b_N)),
        *(c_N, d_N, y_N - middle * (c_N + d_N)),
        *(zero_N, zero_N, one_N),
    )
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def corners_moved(size: int, shifts_N42: Tensor) -> Tensor:
    """Homographies [N, 3, 3] that move the corner pixels of ``size`` × ``size`` by ``shifts_N42`` pixels.

    The closed form for a square (Heckbert 1989, Fundamentals of Texture Mapping and Image Warping, section 2.2.3).
    """
    end = float(size - 1)
    x_N4, y_N4 = shifts_N42.unbind(2)
    x0, x1, x2, x3 = x_N4[:, 0], x_N4[:, 1] + end, x_N4[:, 2] + end, x_N4[:, 3]
    y0, y1, y2, y3 = y_N4[:, 0], y_N4[:, 1], y_N4[:, 2] + end, y_N4[:, 3] + end
    dx1, dx2, sum_x = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sum_y = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    determinant = dx1 * dy2 - dx2 * dy1
    g = (sum_x * dy2 - dx2 * sum_y) / determinant
    h = (dx1 * sum_y - sum_x * dy1) / determinant
    rows = (
        *((x1 - x0 + g * x1) / end, (x3 - x0 + h * x3) / end, x0),
        *((y1 - y0 + g * y1) / end, (y3 - y0 + h * y3) / end, y0),
        *(g / end, h / end, torch.ones_like(g)),
    )
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def warp(images_NCHW: Tensor, homographies_N33: Tensor) -> Tensor:
    """The images moved by their homographies, interpolated bilinearly; the border repeats outwards."""
    size = images_NCHW.shape[-1]
    from_N3P = _inverse(homographies_N33) @ _pixels(size, images_NCHW.device)
    from_N2P = from_N3P[:, :2] / from_N3P[:, 2:] * (2 / (size - 1)) - 1
    grid_NHW2 = from_N2P.transpose(1, 2).reshape(-1, size, size, 2)
    return grid_sample(images_NCHW, grid_NHW2, padding_mode="border", align_corners=True)


def _inverse(homographies_N33: Tensor) -> Tensor:
    """The adjugates, which are the inverses up to a factor that no homography feels."""
    first_N3, second_N3, third_N3 = homographies_N33.unbind(2)
    cross = torch.linalg.cross
    return torch.stack([cross(second_N3, third_N3), cross(third_N3, first_N3), cross(first_N3, second_N3)], dim=1)


@lru_cache(maxsize=8)
def _pixels(size: int, device: torch.device) -> Tensor:
    """Positions (x, y, 1) of all pixels, shape [3, P], row by row."""
    line = torch.arange(size, dtype=torch.float32, device=device)
    y_HW, x_HW = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x_HW.flatten(), y_HW.flatten(), torch.ones(size * size, device=device)])
