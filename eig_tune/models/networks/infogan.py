"""InfoGAN's MNIST networks, as the authors of Elastic-InfoGAN use them, scaled by ``width``.

Chen et al., InfoGAN (arXiv 1606.03657), appendix C.1; ``width`` = 64 gives the published sizes. Images are
in [-1, 1], shape [N, C, S, S] with S a multiple of 4, which is halved twice. A fully connected layer takes what is
left of them: S² · width² · 2 weights in G, and as many in the front end.
"""

import torch
from torch import Tensor, nn

from eig_tune.models.methods import NetworkSettings
from eig_tune.models.networks.base import SLOPE, Networks, linear_block


class InfoGanNetworks(Networks):
    """The networks of one run."""

    def generator(self) -> nn.Module:
        """G."""
        return Generator(self.settings, self.image_size, self.channels)

    def front_end(self) -> nn.Module:
        """What D and Q share."""
        return FrontEnd(self.settings, self.image_size, self.channels)


class Generator(nn.Module):
    """G: noise [N, noise_dim] and code [N, K] to images [N, C, S, S]."""

    def __init__(self, settings: NetworkSettings, image_size: int, channels: int) -> None:
        super().__init__()
        width, side = settings.width, image_size // 4
        self.fully_connected = nn.Sequential(
            *linear_block(settings.noise_dim + settings.categories, 16 * width, nn.ReLU()),
            *linear_block(16 * width, 2 * width * side * side, nn.ReLU()),
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
        self.trunk_size = 16 * width
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 2 * width, kernel_size=4, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            *linear_block(2 * width * side * side, self.trunk_size, nn.LeakyReLU(SLOPE)),
        )

    def forward(self, images: Tensor) -> Tensor:
        trunk: Tensor = self.layers(images)
        return trunk
