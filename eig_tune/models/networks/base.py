"""What a network is: how G and the front end are made, and the two heads that all networks have.

Shape suffixes: N images, C channels, S their side, D noise numbers, K categories, T numbers of a trunk, F features.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from eig_tune.models.methods import NetworkSettings

FEATURES = 128
SLOPE = 0.2
_WEIGHT_STD = 0.02
_SMALLEST_SIDE = 4
_FEWEST_CHANNELS = 4


class Networks(ABC):
    """Makes the modules of one run; each call makes a new one.

    Args:
        settings: width, noise and number of categories.
        image_size: the side S of the images, a multiple of 4 from 8 to 256.
        channels: C, 1 or 3.
    """

    def __init__(self, settings: NetworkSettings, image_size: int, channels: int) -> None:
        self.settings, self.image_size, self.channels = settings, image_size, channels

    @abstractmethod
    def generator(self) -> nn.Module:
        """G: noise [N, D] and code [N, K] to images [N, C, S, S] in [-1, 1]."""

    @abstractmethod
    def front_end(self) -> nn.Module:
        """What D and Q share: images [N, C, S, S] to trunks [N, T]; its attribute ``trunk_size`` is T.

        ``normalises_batches`` is False where each image goes through it by itself, without batch normalisation.
        """

    def discriminator(self, trunk_size: int) -> nn.Module:
        """D: trunks [N, T] to the logit [N] of being real."""
        return Discriminator(trunk_size)

    def category_head(self, trunk_size: int) -> nn.Module:
        """Q: trunks [N, T] to features [N, F] and category logits [N, K]."""
        return CategoryHead(trunk_size, self.settings.categories)

    def initialise(self, module: nn.Module, generator: torch.Generator) -> None:
        """Draw the first weights of a module, and whatever else of it is random, from ``generator``."""
        initialise_normal(module, generator)


class Discriminator(nn.Module):
    """D: one layer from trunks [N, T] to the logit [N] of being real."""

    def __init__(self, trunk_size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(trunk_size, 1)

    def forward(self, trunk: Tensor) -> Tensor:
        logits: Tensor = self.layer(trunk)
        return logits.squeeze(1)


class CategoryHead(nn.Module):
    """Q: trunks [N, T] to features [N, 128] and category logits [N, K]."""

    def __init__(self, trunk_size: int, categories: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*linear_block(trunk_size, FEATURES, nn.LeakyReLU(SLOPE)))
        self.logits = nn.Linear(FEATURES, categories)

    def forward(self, trunk: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.features(trunk)
        return features, self.logits(features)


def pyramid(image_size: int, width: int) -> tuple[list[int], list[int]]:
    """Sides from the image's own to the smallest, and channels after each halving: 32, 16, 8, 4 and 48, 96, 192 for
    32 × 32 images at width 64.

    The first channels, of which there are most positions, are rounded down to a multiple of 16 where there are more:
    processors compute them by 16.
    """
    sides = [image_size]
    while sides[-1] > _SMALLEST_SIDE:
        sides.append(-(-sides[-1] // 2))
    halvings = len(sides) - 1
    first, *others = (max(_FEWEST_CHANNELS, 3 * width >> halvings - 1 - done) for done in range(halvings))
    return sides, [first if first < 16 else first - first % 16, *others]


def linear_block(inputs: int, outputs: int, activation: nn.Module) -> tuple[nn.Module, ...]:
    """A fully connected layer, batch normalisation, and an activation."""
    return (nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), activation)


def initialise_normal(module: nn.Module, generator: torch.Generator) -> None:
    """Weights from N(0, 0.02), biases 0; BatchNorm stays at scale 1 and shift 0 (Radford et al. 2016, section 4)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=_WEIGHT_STD, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
