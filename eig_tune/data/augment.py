"""Identity-preserving transformations δ of a batch, on its device, with random numbers passed in.

One random warp per image joins rotation, zoom, shear, shift and distortion, so that every image is
interpolated once. After the transformations of Ojha et al. (arXiv 1910.01112, section 4). Changes of light and
colour, off by default, follow it: ``eig_tune.data.photometric``.

Shape suffixes: N images, C channels, H and W the side S; N33 a 3 × 3 homography of each, N2 x and y of one position.
"""

import math

import torch
from torch import Tensor

from eig_tune.data.homographies import affine_about_centre, corners_moved, warp
from eig_tune.data.photometric import change_photometrically
from eig_tune.data.settings import AugmentSettings


def augment(images_NCHW: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """δ(images): each of [N, C, S, S] in [-1, 1] under changes of its own; the border repeats outwards."""
    warped_NCHW = warp(images_NCHW, draw_warps(len(images_NCHW), images_NCHW.shape[-1], settings, generator))
    if settings.flip:
        flipped = torch.rand(len(warped_NCHW), 1, 1, 1, generator=generator, device=warped_NCHW.device) < 0.5
        warped_NCHW = torch.where(flipped, warped_NCHW.flip(-1), warped_NCHW)
    return change_photometrically(warped_NCHW, settings, generator)


def draw_warps(count: int, size: int, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Random homographies [N, 3, 3] in pixel coordinates of images of ``size`` × ``size``."""
    drawn = 2 * torch.rand(count, 14, generator=generator, device=generator.device) - 1
    affine_N33 = affine_about_centre(
        size,
        turns_N=drawn[:, 0] * math.radians(settings.rotation),
        scales_N=1 + drawn[:, 1] * settings.zoom,
        slopes_N2=(drawn[:, 2:4] * math.radians(settings.shear)).tan(),
        shifts_N2=drawn[:, 4:6] * (settings.shift * size),
    )
    if settings.distortion == 0:
        return affine_N33
    return affine_N33 @ corners_moved(size, drawn[:, 6:].view(count, 4, 2) * (settings.distortion * size))
