"""The photometric part of the transformation δ: light, colour, sharpness and inversion of a batch, on its device.

Each image has random numbers of its own, from a generator that is passed in, and only what is switched on draws any:
with all of it off, nothing of a run changes. Factors are those of torchvision's ``ColorJitter``. The counterpart takes
the same out of images, for comparing them.

Shape suffixes: N images, C channels (3 where a digit says so), H and W their height and width; N111 one number each; T
pixels of a filter.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from eig_tune.data.settings import AugmentSettings

_GREY = (0.299, 0.587, 0.114)  # luminance of red, green and blue, ITU-R BT.601
_EVEN = 1e-2  # of an image's standard deviation, of values in [-1, 1]; less is one even grey
_SHARP = 1e-3  # pixels; a blur of no pixel at all would divide by zero


def change_photometrically(images_NCHW: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Images in [-1, 1] of random brightness, contrast, saturation, hue, blur and inversion, in that order."""

    def uniform(low: float, high: float) -> Tensor:
        drawn = torch.rand(len(images_NCHW), 1, 1, 1, generator=generator, device=generator.device)
        return low + (high - low) * drawn

    if not settings.photometric:
        return images_NCHW
    changed_NCHW = (images_NCHW + 1) / 2
    if settings.brightness:
        changed_NCHW = scale_brightness(changed_NCHW, uniform(1 - settings.brightness, 1 + settings.brightness))
    if settings.contrast:
        changed_NCHW = scale_contrast(changed_NCHW, uniform(1 - settings.contrast, 1 + settings.contrast))
    coloured = images_NCHW.shape[1] == 3
    if settings.saturation and coloured:
        changed_NCHW = scale_saturation(changed_NCHW, uniform(1 - settings.saturation, 1 + settings.saturation))
    if settings.hue and coloured:
        changed_NCHW = shift_hue(changed_NCHW, uniform(-settings.hue, settings.hue))
    if settings.blur:
        largest = settings.blur * images_NCHW.shape[-1]
        changed_NCHW = blur(changed_NCHW, uniform(0, largest), largest)
    if settings.invert:
        changed_NCHW = torch.where(uniform(0, 1) < settings.invert, 1 - changed_NCHW, changed_NCHW)
    return 2 * changed_NCHW - 1


def standardise_photometrically(images_NCHW: Tensor, settings: AugmentSettings) -> Tensor:
    """Images without what :func:`change_photometrically` may change, so that two that differ by it alone look the same.

    Where colours may change, each is its grey; where light may, or an image may be inverted, it has mean 0 and standard
    deviation 1/2; and where it may be inverted, the rarer of its light and dark parts is the light one. Blur is left.
    """
    if images_NCHW.shape[1] == 3 and (settings.hue or settings.saturation):
        images_NCHW = _grey(images_NCHW).expand(-1, 3, -1, -1)
    if not (settings.brightness or settings.contrast or settings.invert):
        return images_NCHW
    centred_NCHW = images_NCHW - images_NCHW.mean(dim=(1, 2, 3), keepdim=True)
    spread_N111 = centred_NCHW.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    standard_NCHW = centred_NCHW / (2 * spread_N111.clamp(min=_EVEN))
    if settings.invert:
        skewness_N111 = standard_NCHW.pow(3).mean(dim=(1, 2, 3), keepdim=True)
        standard_NCHW = torch.where(skewness_N111 < 0, -standard_NCHW, standard_NCHW)
    return standard_NCHW


def scale_brightness(images_NCHW: Tensor, factor_N111: Tensor) -> Tensor:
    """Images in [0, 1] times a factor each; 0 is black."""
    return (factor_N111 * images_NCHW).clamp(0, 1)


def scale_contrast(images_NCHW: Tensor, factor_N111: Tensor) -> Tensor:
    """Images in [0, 1] with their distance from the mean of their grey times a factor each; 0 is even grey."""
    mean_N111 = _grey(images_NCHW).mean(dim=(1, 2, 3), keepdim=True)
    return (mean_N111 + factor_N111 * (images_NCHW - mean_N111)).clamp(0, 1)


def scale_saturation(images_N3HW: Tensor, factor_N111: Tensor) -> Tensor:
    """Colour images in [0, 1] with their distance from grey times a factor each; 0 is grey."""
    grey_N1HW = _grey(images_N3HW)
    return (grey_N1HW + factor_N111 * (images_N3HW - grey_N1HW)).clamp(0, 1)


def shift_hue(images_N3HW: Tensor, turns_N111: Tensor) -> Tensor:
    """Colour images in [0, 1] with their hue (of HSV) shifted by shares of the colour circle."""
    red, green, blue = images_N3HW.unbind(dim=1)
    value = images_N3HW.amax(dim=1)
    chroma = value - images_N3HW.amin(dim=1)
    divisor = chroma.clamp(min=torch.finfo(chroma.dtype).tiny)
    of_green_or_blue = torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor)
    sixths = torch.where(value == red, (green - blue) / divisor, of_green_or_blue)
    place_N1HW = sixths[:, None] + 6 * turns_N111
    places_N3HW = torch.cat([5 + place_N1HW, 3 + place_N1HW, 1 + place_N1HW], dim=1) % 6  # of red, green and blue
    return value[:, None] - chroma[:, None] * torch.minimum(places_N3HW, 4 - places_N3HW).clamp(0, 1)


def blur(images_NCHW: Tensor, sigma_N111: Tensor, largest: float) -> Tensor:
    """Images under a Gaussian filter of a standard deviation each, up to ``largest`` pixels; the border repeats."""
    count, channels, height, width = images_NCHW.shape
    reach = math.ceil(3 * largest)
    offsets_T = torch.arange(-reach, reach + 1, device=images_NCHW.device)
    weights_NT = (-0.5 * (offsets_T / sigma_N111.view(-1, 1).clamp(min=_SHARP)).square()).softmax(dim=1)
    filters = weights_NT.repeat_interleave(channels, dim=0)  # one of each image and channel, which are all in one batch
    padded = pad(images_NCHW, (reach, reach, reach, reach), mode="replicate")
    joined = padded.view(1, count * channels, height + 2 * reach, width + 2 * reach)
    across = conv2d(joined, filters[:, None, None, :], groups=count * channels)
    return conv2d(across, filters[:, None, :, None], groups=count * channels).view_as(images_NCHW)


def _grey(images_NCHW: Tensor) -> Tensor:
    """[N, 1, H, W]: the luminance of colour images; grey ones as they are."""
    if images_NCHW.shape[1] == 1:
        return images_NCHW
    red, green, blue = images_NCHW.split(1, dim=1)
    grey_N1HW: Tensor = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue
    return grey_N1HW
