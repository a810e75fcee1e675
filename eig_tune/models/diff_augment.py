"""Differentiable augmentation of what D is shown, real and generated images alike, for sets of few images.

Zhao et al. 2020 (arXiv 2006.10738): gradients reach G through the changes, and D cannot learn the training images by
heart. Q shares D's trunk and so sees the changed images, too. Only what is switched on draws any random numbers. What
comes in from outside of an image, or is cut out of it, is 0, the middle grey.

Shape suffixes: N images, C channels, H and W the side S, P the S² pixels; N111 and N1 one number each, NS one for each
row or column.
"""

import torch
from torch import Tensor

from eig_tune.models.methods import InfoGanSettings


def diff_augment(images_NCHW: Tensor, settings: InfoGanSettings, generator: torch.Generator) -> Tensor:
    """Images in about [-1, 1] of random colour, place, and with a square cut out, in that order."""
    if settings.diff_colour:
        images_NCHW = change_colour(images_NCHW, settings.diff_colour, generator)
    if settings.diff_translation:
        images_NCHW = translate(images_NCHW, settings.diff_translation, generator)
    if settings.diff_cutout:
        images_NCHW = cut_out(images_NCHW, settings.diff_cutout, generator)
    return images_NCHW


def change_colour(images_NCHW: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightness ± strength / 2, saturation of colour images times 1 ± strength, contrast times 1 ± strength / 2."""

    def uniform(reach: float) -> Tensor:
        drawn_N111 = torch.rand(len(images_NCHW), 1, 1, 1, generator=generator, device=generator.device)
        return (2 * drawn_N111 - 1) * reach

    changed_NCHW = images_NCHW + uniform(strength / 2)
    if images_NCHW.shape[1] == 3:
        grey_N1HW = changed_NCHW.mean(dim=1, keepdim=True)
        changed_NCHW = grey_N1HW + (changed_NCHW - grey_N1HW) * (1 + uniform(strength))
    mean_N111 = changed_NCHW.mean(dim=(1, 2, 3), keepdim=True)
    return mean_N111 + (changed_NCHW - mean_N111) * (1 + uniform(strength / 2))


def translate(images_NCHW: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Images shifted by whole pixels, in x and in y by at most ``share`` of the side.

    Each pixel that is kept is taken once, so that gradients add up in no order of chance.
    """
    side = images_NCHW.shape[-1]
    most = round(share * side)
    rows_NS, columns_NS = (_places(images_NCHW) + _drawn(-most, most + 1, images_NCHW, generator) for _ in range(2))
    taken_NHW = rows_NS.clamp(0, side - 1)[:, :, None] * side + columns_NS.clamp(0, side - 1)[:, None, :]
    flat_NCP = images_NCHW.flatten(2)
    taken_NCP = taken_NHW.flatten(1)[:, None].expand_as(flat_NCP)
    return flat_NCP.gather(2, taken_NCP).view_as(images_NCHW) * _within(rows_NS, columns_NS, side)


def _within(rows_NS: Tensor, columns_NS: Tensor, side: int) -> Tensor:
    """Whether a pixel lies in a square of that side, whose first row and column are 0, [N, 1, H, W]."""
    row_NS, column_NS = ((places_NS >= 0) & (places_NS < side) for places_NS in (rows_NS, columns_NS))
    return row_NS[:, None, :, None] & column_NS[:, None, None, :]


def cut_out(images_NCHW: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Images without a square of ``share`` of the side, whose middle is anywhere in the image."""
    side = images_NCHW.shape[-1]
    cut = round(share * side)
    rows_NS, columns_NS = (
        _places(images_NCHW) - _drawn(0, side + 1 - cut % 2, images_NCHW, generator) + cut // 2 for _ in range(2)
    )
    return images_NCHW * ~_within(rows_NS, columns_NS, cut)


def _places(images_NCHW: Tensor) -> Tensor:
    """The numbers of rows or columns, [1, S]."""
    return torch.arange(images_NCHW.shape[-1], device=images_NCHW.device)[None]


def _drawn(low: int, high: int, images_NCHW: Tensor, generator: torch.Generator) -> Tensor:
    """A whole number of each image, from ``low`` to ``high`` - 1, [N, 1]."""
    return torch.randint(low, high, (len(images_NCHW), 1), generator=generator, device=generator.device)
