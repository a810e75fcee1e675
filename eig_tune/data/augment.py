"""Identity-preserving transformations δ of a batch, on its device, with random numbers passed in.

One random warp per image joins rotation, zoom, shear, shift and distortion, so that every image is
interpolated once. After the transformations of Ojha et al. (arXiv 1910.01112, section 4). Changes of light and
colour, off by default, follow it: ``eig_tune.data.photometric``.

Shape suffixes: N images, C channels, H and W the side S; N33 a 3 × 3 homography of each, N42 x and y of its corners.
"""

import torch
from kornia.geometry.transform import get_affine_matrix2d, get_perspective_transform, warp_perspective
from torch import Tensor

from eig_tune.data.photometric import change_photometrically
from eig_tune.data.settings import AugmentSettings


def augment(images_NCHW: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """δ(images): each of [N, C, S, S] in [-1, 1] under changes of its own; the border repeats outwards."""
    warps_N33 = draw_warps(len(images_NCHW), images_NCHW.shape[-1], settings, generator)
    warped: Tensor = warp_perspective(images_NCHW, warps_N33, images_NCHW.shape[-2:], padding_mode="border")
    if settings.flip:
        flipped = torch.rand(len(warped), 1, 1, 1, generator=generator, device=warped.device) < 0.5
        warped = torch.where(flipped, warped.flip(-1), warped)
    return change_photometrically(warped, settings, generator)


def draw_warps(count: int, size: int, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Random homographies [N, 3, 3] in pixel coordinates of images of ``size`` × ``size``."""

    def uniform(*shape: int, bound: float) -> Tensor:
        return (2 * torch.rand(*shape, generator=generator, device=generator.device) - 1) * bound

    affine: Tensor = get_affine_matrix2d(
        translations=uniform(count, 2, bound=settings.shift * size),
        center=torch.full((count, 2), (size - 1) / 2, device=generator.device),
        scale=1 + uniform(count, 1, bound=settings.zoom).expand(count, 2),
        angle=uniform(count, bound=settings.rotation),
        sx=torch.deg2rad(uniform(count, bound=settings.shear)),
        sy=torch.deg2rad(uniform(count, bound=settings.shear)),
    )
    if settings.distortion == 0:
        return affine
    return affine @ _draw_distortions(size, uniform(count, 4, 2, bound=settings.distortion * size))


def _draw_distortions(size: int, corner_shifts_N42: Tensor) -> Tensor:
    """Homographies [N, 3, 3] that move the four corners by ``corner_shifts_N42`` pixels."""
    end = float(size - 1)
    corners = torch.tensor([[0.0, 0.0], [end, 0.0], [end, end], [0.0, end]], device=corner_shifts_N42.device)
    corners_N42 = corners.expand_as(corner_shifts_N42)
    distortions: Tensor = get_perspective_transform(corners_N42, corners_N42 + corner_shifts_N42)
    return distortions
