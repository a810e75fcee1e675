"""Residual networks with spectral normalisation in D and in what D and Q share, scaled by ``width``.

Miyato et al. 2018 (arXiv 1802.05957, appendix B), after Gulrajani et al. 2017 (arXiv 1704.00028): a residual block for
each halving of the side, batch normalisation in G alone, and trunks that are summed over the positions. Sides and
channels are those of ``dcgan``: halved, rounded up, until at most 4 are left, with 3 · width channels there and half as
many at each doubling. Where a side is odd, the front end adds a row and a column of zeros at the end, and G leaves the
last ones of twice the side out: every multiple of 4 is possible, and no image is resized.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad, relu

from eig_tune.models.methods import NetworkSettings
from eig_tune.models.networks.base import CategoryHead, Networks, pyramid
from eig_tune.models.networks.spectral_norm import SpectralConv2d, SpectralLinear


class ResnetNetworks(Networks):
    """The networks of one run."""

    def generator(self) -> nn.Module:
        """G."""
        return Generator(self.settings, self.image_size, self.channels)

    def front_end(self) -> nn.Module:
        """What D and Q share."""
        return FrontEnd(self.settings.width, self.image_size, self.channels)

    def discriminator(self, trunk_size: int) -> nn.Module:
        """D."""
        return Discriminator(trunk_size)

    def initialise(self, module: nn.Module, generator: torch.Generator) -> None:
        """Uniform weights (Glorot & Bengio 2010), wider by √2 inside of a block; Q's head as in the other networks."""
        if isinstance(module, CategoryHead):
            super().initialise(module, generator)
            return
        for name, layer in module.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                gain = math.sqrt(2) if name.endswith(("first", "second")) else 1.0
                nn.init.xavier_uniform_(layer.weight, gain, generator)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
            if isinstance(layer, SpectralConv2d | SpectralLinear):
                layer.norm.start(layer.weight, generator)


class Generator(nn.Module):
    """G: noise [N, D] and code [N, K] to images [N, C, S, S]."""

    def __init__(self, settings: NetworkSettings, image_size: int, channels: int) -> None:
        super().__init__()
        sides, widths = pyramid(image_size, settings.width)
        smallest, most, last = sides[-1], widths[-1], max(4, widths[0] // 2)
        self.projection = nn.Sequential(
            nn.Linear(settings.noise_dim + settings.categories, most * smallest**2),
            nn.Unflatten(1, (most, smallest, smallest)),
        )
        between = pairwise([*widths[::-1], last])
        self.blocks = nn.Sequential(
            *(_Doubling(*ends, side) for ends, side in zip(between, sides[-2::-1], strict=True))
        )
        self.to_images = nn.Sequential(
            nn.BatchNorm2d(last), nn.ReLU(), nn.Conv2d(last, channels, kernel_size=3, padding=1), nn.Tanh()
        )

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        images: Tensor = self.to_images(self.blocks(self.projection(torch.cat([noise, code], dim=1))))
        return images


class FrontEnd(nn.Module):
    """The trunk that D and Q share: images [N, C, S, S] to trunk activations [N, 3 · width]."""

    normalises_batches = False

    def __init__(self, width: int, image_size: int, channels: int) -> None:
        super().__init__()
        _, widths = pyramid(image_size, width)
        self.trunk_size = widths[-1]
        hidden = [max(4, widths[0] // 2), *widths]
        self.blocks = nn.Sequential(
            *(
                _Halving(inputs, between, outputs, of_images=index == 0)
                for index, (inputs, between, outputs) in enumerate(
                    zip([channels, *widths], hidden, widths, strict=False)
                )
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        positions: Tensor = relu(self.blocks(images))
        return positions.sum(dim=(2, 3))


class Discriminator(nn.Module):
    """D: trunks [N, T] to the logit [N] of being real."""

    def __init__(self, trunk_size: int) -> None:
        super().__init__()
        self.layer = SpectralLinear(trunk_size, 1)

    def forward(self, trunk: Tensor) -> Tensor:
        logits: Tensor = self.layer(trunk)
        return logits.squeeze(1)


class _Doubling(nn.Module):
    """A residual block of G to ``side``, which is twice as many positions or one less."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.first_norm, self.second_norm = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.first = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, kernel_size=1)

    def forward(self, below: Tensor) -> Tensor:
        hidden = self.first(self._enlarged(relu(self.first_norm(below))))
        hidden = self.second(relu(self.second_norm(hidden)))
        above: Tensor = hidden + self._enlarged(self.shortcut(below))
        return above

    def _enlarged(self, positions: Tensor) -> Tensor:
        larger: Tensor = interpolate(positions, scale_factor=2.0, mode="nearest")
        return larger[:, :, : self.side, : self.side]


class _Halving(nn.Module):
    """A residual block of the front end to half the side, rounded up.

    Args:
        of_images: it is the first one, whose input has no activation before it.
    """

    def __init__(self, inputs: int, between: int, outputs: int, of_images: bool) -> None:
        super().__init__()
        self.of_images = of_images
        self.first = SpectralConv2d(inputs, between, 3)
        self.second = SpectralConv2d(between, outputs, 3)
        self.shortcut = SpectralConv2d(inputs, outputs, 1)

    def forward(self, below: Tensor) -> Tensor:
        hidden = self.first(below if self.of_images else relu(below))
        above: Tensor = _halved(self.second(relu(hidden))) + self.shortcut(_halved(below))
        return above


def _halved(positions: Tensor) -> Tensor:
    """Means of 2 × 2 positions; an odd side gets a row and a column of zeros first."""
    odd = positions.shape[-1] % 2
    return avg_pool2d(pad(positions, (0, odd, 0, odd)) if odd else positions, kernel_size=2)
