"""Which real images a generated one is nearest to, by features that no model has a say in.

A metric without labels must not be computed from what the model itself has learned: a model that is wrong in one way
throughout agrees with itself. So images are compared by a convolutional network with random weights, which is the same
for all models and already keeps alike what looks alike (Saxe et al. 2011, "On random weights and unsupervised feature
learning").

Shape suffixes: N images, M generated images, R real images, C channels, H and W the side S, F features.
"""

import torch
from torch import Tensor, nn

from eig_tune.data import AugmentSettings
from eig_tune.data.photometric import standardise_photometrically

_FILTERS = 64
_LARGEST_MAP = 7  # side of the last feature map; a larger one is averaged down to it
_FEATURES = 512  # a random projection to so many keeps distances (Johnson & Lindenstrauss 1984)
_SEED = 20_200_103
_CHUNK = 500


class RandomFeatures(nn.Module):
    """Images [N, C, S, S] in [-1, 1] to features [N, F], by weights that are drawn once and never trained.

    Args:
        image_size: S.
        channels: C.
    """

    def __init__(self, image_size: int, channels: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(_SEED)
        first = nn.Conv2d(channels, _FILTERS, kernel_size=5, stride=2, padding=2, bias=False)
        second = nn.Conv2d(_FILTERS, _FILTERS, kernel_size=3, stride=2, padding=1, bias=False)
        side = min(-(-image_size // 4), _LARGEST_MAP)
        projection = nn.Linear(_FILTERS * side * side, _FEATURES, bias=False)
        for layer in (first, second, projection):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
        maps = (first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(side), nn.Flatten())
        self.layers = nn.Sequential(*maps, projection)

    @torch.no_grad()
    def forward(self, images_NCHW: Tensor) -> Tensor:
        features_NF: Tensor = self.layers(images_NCHW)
        return features_NF


class NearestImages:
    """Finds the nearest of some real images.

    Args:
        real_RCHW: the real images in [-1, 1], on the device where all is computed.
        settings: of the transformation δ; what it may change of light and colour does not make images unlike.
    """

    def __init__(self, real_RCHW: Tensor, settings: AugmentSettings) -> None:
        self._settings = settings
        self._network = RandomFeatures(real_RCHW.shape[-1], real_RCHW.shape[1]).to(real_RCHW.device)
        self._real_RF = self._features(real_RCHW)

    def of(self, images_MCHW: Tensor, number: int) -> Tensor:
        """Indices [M, number] of the real images that are nearest to each of the given ones, the nearest first."""
        number = min(number, len(self._real_RF))
        features_MF = self._features(images_MCHW)
        found = [torch.cdist(part, self._real_RF).topk(number, largest=False)[1] for part in features_MF.split(_CHUNK)]
        return torch.cat(found)

    def _features(self, images_NCHW: Tensor) -> Tensor:
        parts = images_NCHW.split(_CHUNK)
        return torch.cat([self._network(standardise_photometrically(part, self._settings)) for part in parts])
