"""What a trial sees: images, their imbalance, and identity-preserving transformations."""

from eig_tune.data.augment import AugmentSettings, augment
from eig_tune.data.datasets import DatasetConfig, ImageData, Images, how_to_get, load_images
from eig_tune.data.imbalance import ImbalanceFile, ImbalanceSplit

__all__ = [
    "AugmentSettings",
    "DatasetConfig",
    "ImageData",
    "Images",
    "ImbalanceFile",
    "ImbalanceSplit",
    "augment",
    "how_to_get",
    "load_images",
]
