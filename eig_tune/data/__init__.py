"""What a trial sees: images, their imbalance, and identity-preserving transformations.

The transformations need PyTorch: import them from ``eig_tune.data.augment``."""

from eig_tune.data.datasets import how_to_get, load_images
from eig_tune.data.images import ImageData, Images
from eig_tune.data.imbalance import ImbalanceFile, ImbalanceSplit
from eig_tune.data.settings import AugmentSettings, DatasetConfig

__all__ = [
    "AugmentSettings",
    "DatasetConfig",
    "ImageData",
    "Images",
    "ImbalanceFile",
    "ImbalanceSplit",
    "how_to_get",
    "load_images",
]
