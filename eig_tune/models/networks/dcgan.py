"""DCGAN's pyramid, shared by D and Q as InfoGAN does it for CelebA and SVHN, scaled by ``width``.

Radford et al. (arXiv 1511.06434): strided convolutions, batch normalisation but in the first layer of D and the last
of G. A side is halved, rounded up, until at most 4 are left; there are 3 · width channels there and half as many at
each doubling, so that every doubling costs about the same. Of images up to 64 × 64, D and Q share a fully connected
layer at the end, as in InfoGAN for MNIST: Q reads real images better with it, and G collapses more often, unless what D
sees is shifted (benchmarks/RESULTS.md, "Networks at 32×32" and "at 64×64"; larger images have not been measured). Where
a side is odd, the front end adds a row and a column of zeros at the end, and G leaves the last ones of twice the side
out: every multiple of 4 is possible, and no image is resized.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from eig_tune.models.methods import NetworkSettings
from eig_tune.models.networks.base import SLOPE, Networks, linear_block, pyramid

_LARGEST_SIDE_WITH_A_LAYER = 64


class DcganNetworks(Networks):
    """The networks of one run."""

    def generator(self) -> nn.Module:
        """G."""
        return Generator(self.settings, self.image_size, self.channels)

    def front_end(self) -> nn.Module:
        """What D and Q share."""
        return FrontEnd(self.settings.width, self.image_size, self.channels)


class Generator(nn.Module):
    """G: noise [N, D] and code [N, K] to images [N, C, S, S]."""

    def __init__(self, settings: NetworkSettings, image_size: int, channels: int) -> None:
        super().__init__()
        sides, widths = pyramid(image_size, settings.width)
        smallest, most = sides[-1], widths[-1]
        self.projection = nn.Sequential(
            nn.Linear(settings.noise_dim + settings.categories, most * smallest**2),
            nn.Unflatten(1, (most, smallest, smallest)),
            nn.BatchNorm2d(most),
            nn.ReLU(),
        )
        layers: list[nn.Module] = []
        for (side, larger), (inputs, outputs) in zip(pairwise(sides[::-1]), pairwise(widths[::-1]), strict=False):
            layers += [*_doubling(inputs, outputs, side, larger), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.upsampling = nn.Sequential(*layers, *_doubling(widths[0], channels, sides[1], sides[0]), nn.Tanh())

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        smallest = self.projection(torch.cat([noise, code], dim=1))
        images: Tensor = self.upsampling(smallest.contiguous(memory_format=torch.channels_last))
        return images


class FrontEnd(nn.Module):
    """The trunk that D and Q share: images [N, C, S, S] to trunk activations [N, T].

    T is 16 · width where there is a fully connected layer, else all numbers of the smallest side.
    """

    def __init__(self, width: int, image_size: int, channels: int) -> None:
        super().__init__()
        sides, widths = pyramid(image_size, width)
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(pairwise([channels, *widths])):
            layers += _halving(inputs, outputs, sides[index])
            layers += [nn.BatchNorm2d(outputs)] if index else []
            layers.append(nn.LeakyReLU(SLOPE))
        layers.append(nn.Flatten())
        self.trunk_size = widths[-1] * sides[-1] ** 2
        if image_size <= _LARGEST_SIDE_WITH_A_LAYER:
            layers += linear_block(self.trunk_size, 16 * width, nn.LeakyReLU(SLOPE))
            self.trunk_size = 16 * width
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        trunk: Tensor = self.layers(images.contiguous(memory_format=torch.channels_last))
        return trunk


def _halving(inputs: int, outputs: int, side: int) -> list[nn.Module]:
    """A convolution to half the side, rounded up."""
    convolution = nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1)
    return [nn.ZeroPad2d((0, 1, 0, 1)), convolution] if side % 2 else [convolution]


def _doubling(inputs: int, outputs: int, side: int, larger: int) -> list[nn.Module]:
    """A transposed convolution from a side to the larger one of which it is the half, rounded up."""
    convolution = nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1)
    return [convolution, nn.ZeroPad2d((0, -1, 0, -1))] if larger < 2 * side else [convolution]
