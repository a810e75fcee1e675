"""InfoGAN's MNIST networks, as the authors of Elastic-InfoGAN use them, scaled by ``width``.

Chen et al., InfoGAN (arXiv 1606.03657), appendix C.1; ``width`` = 64 gives the published sizes. Images are
in [-1, 1], shape [N, C, S, S] with S a multiple of 4.
"""

import torch
from torch import Tensor, nn

from eig_tune.models.methods import NetworkSettings

FEATURES = 128
_SLOPE = 0.2
_WEIGHT_STD = 0.02


class Generator(nn.Module):
    """G: noise [N, noise_dim] and code [N, K] to images [N, C, S, S]."""

    def __init__(self, settings: NetworkSettings, image_size: int, channels: int) -> None:
        super().__init__()
        width, side = settings.width, image_size // 4
        self.fully_connected = nn.Sequential(
            *_linear_block(settings.noise_dim + settings.categories, 16 * width, nn.ReLU()),
            *_linear_block(16 * width, 2 * width * side * side, nn.ReLU()),
            nn.Unflatten(1, (2 * width, side, side)),
        )
        self.upsampling = nn.Sequential(
            nn.ConvTranspose2d(2 * width, width, kernel_size=4, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, kernel_size=4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        images: Tensor = self.upsampling(self.fully_connected(torch.cat([noise, code], dim=1)))
        return images


class FrontEnd(nn.Module):
    """The trunk that D and Q share: images [N, C, S, S] to trunk activations [N, 16 · width]."""

    def __init__(self, settings: NetworkSettings, image_size: int, channels: int) -> None:
        super().__init__()
        width, side = settings.width, image_size // 4
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(width, 2 * width, kernel_size=4, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(_SLOPE),
            nn.Flatten(),
            *_linear_block(2 * width * side * side, 16 * width, nn.LeakyReLU(_SLOPE)),
        )

    def forward(self, images: Tensor) -> Tensor:
        trunk: Tensor = self.layers(images)
        return trunk


class Discriminator(nn.Module):
    """D: trunk activations [N, 16 · width] to the logit [N] of being real."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.layer = nn.Linear(16 * settings.width, 1)

    def forward(self, trunk: Tensor) -> Tensor:
        logits: Tensor = self.layer(trunk)
        return logits.squeeze(1)


class CategoryHead(nn.Module):
    """Q: trunk activations [N, 16 · width] to features [N, 128] and category logits [N, K]."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.features = nn.Sequential(*_linear_block(16 * settings.width, FEATURES, nn.LeakyReLU(_SLOPE)))
        self.logits = nn.Linear(FEATURES, settings.categories)

    def forward(self, trunk: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.features(trunk)
        return features, self.logits(features)


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Weights from N(0, 0.02), biases 0; BatchNorm stays at scale 1 and shift 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=_WEIGHT_STD, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _linear_block(inputs: int, outputs: int, activation: nn.Module) -> tuple[nn.Module, ...]:
    return (nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), activation)
