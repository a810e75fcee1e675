"""Data sets as three sets of images: those that trials train on, all that may be trained on, and the held-out ones.

Shape suffixes: N images, C channels (of images) or classes (of shares), S the side.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.arrays import ArrayImages
from eig_tune.data.folder import read_folder
from eig_tune.data.idx import find_idx_folder, read_idx_part
from eig_tune.data.imbalance import Imbalance, ImbalanceSplit, choose, class_fractions, imbalanced_counts
from eig_tune.data.left_out import LeftOut, named
from eig_tune.data.reading import OnProgress, silent
from eig_tune.data.resize import LARGEST_SIDE, MULTIPLE_OF, SMALLEST_SIDE, is_side, nearest_side, resized
from eig_tune.data.settings import DatasetConfig
from eig_tune.errors import DataError, one_line

HELD_OUT_SHARE = 0.2
_TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
_HELD_OUT_SEED = 20_200_101
_GIVEN_FROM_PYTHON = "the images of `arrays` are given from Python: eig_tune.search(space, images, labels)"
_DIGITS_SIZE = 16
_FOLDER_SIZE = 64


@dataclass(frozen=True)
class Images:
    """Images uint8 [N, C, S, S] and, where they exist, labels int64 [N]."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: NDArray[np.int64]) -> "Images":
        """The images at ``indices``."""
        return Images(self.pixels[indices], None if self.labels is None else self.labels[indices])


@dataclass(frozen=True)
class ImageData:
    """One data set, ready for a search.

    Attributes:
        training: what trials train on, made imbalanced; trials never look at its labels.
        trainable: all that the training images are taken from; the evaluation classifier trains on them.
        held_out: what neither a trial nor an evaluation classifier ever trains on.
        left_out: files and folders below ``dataset.root`` that were not read, with the reason.
    """

    name: str
    classes: tuple[str, ...]
    training: Images
    trainable: Images
    held_out: Images
    left_out: tuple[LeftOut, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether the true classes are known."""
        return self.training.labels is not None

    @property
    def class_distribution(self) -> NDArray[np.float64] | None:
        """Share of every class in the training images [C], or None without labels."""
        if self.training.labels is None:
            return None
        return np.bincount(self.training.labels, minlength=len(self.classes)) / len(self.training)

    @property
    def image_size(self) -> int:
        return int(self.training.pixels.shape[-1])

    @property
    def channels(self) -> int:
        return int(self.training.pixels.shape[1])

    def with_imbalance(self, imbalance: Imbalance) -> "ImageData":
        """The same images with the training images chosen anew, of all that may be trained on.

        Raises:
            DataError: they have no labels, or too few images of a class.
        """
        if imbalance == "none":
            return replace(self, training=self.trainable)
        if self.trainable.labels is None:
            raise DataError(
                "dataset.imbalance: these images have no labels, so they cannot be made imbalanced by class; "
                "write `imbalance: none`, or sort the images into one sub-folder per class"
            )
        fractions = class_fractions(imbalance, len(self.classes))
        counts = imbalanced_counts(fractions, np.bincount(self.trainable.labels, minlength=len(self.classes)))
        seed = imbalance.split if isinstance(imbalance, ImbalanceSplit) else imbalance.row
        return replace(self, training=self.trainable.take(choose(self.trainable.labels, counts, seed)))

    def fingerprint(self) -> str:
        """SHA-256 over every image and label of the three sets."""
        digest = hashlib.sha256()
        for images in (self.training, self.trainable, self.held_out):
            digest.update(repr(images.pixels.shape).encode())
            digest.update(np.ascontiguousarray(images.pixels).data)
            digest.update(b"" if images.labels is None else images.labels.tobytes())
        return digest.hexdigest()


def load_images(
    config: DatasetConfig,
    cache: Path | None = None,
    on_progress: OnProgress = silent,
    arrays: ArrayImages | None = None,
) -> ImageData:
    """Load the data set and make its training images imbalanced.

    Args:
        cache: folder where the images of a folder are kept as they were read, so that this is quick the next time.
        on_progress: called with (files read, files to read) while a folder is read.
        arrays: the images of the data set ``arrays``.

    Raises:
        DataError: the data cannot be found, fetched or read, or cannot be made imbalanced as asked.
    """
    read = _READERS.get(config.name)
    if read is not None:
        data = read(config)
    elif config.name == "arrays":
        data = _read_arrays(config, arrays)
    else:
        data = _read_folder(config, cache, on_progress)
    return data.with_imbalance(config.imbalance)


def how_to_get(config: DatasetConfig) -> str | None:
    """What to do about a data set that is not on this machine, or None when it is; nothing is read or downloaded."""
    if config.name == "folder":
        return None if config.path.is_dir() else f"there is no folder {config.path}; give yours with --root"
    if config.name == "arrays":
        return _GIVEN_FROM_PYTHON
    torchvision_name = _TORCHVISION.get(config.name)
    if torchvision_name is None or find_idx_folder(config.path, torchvision_name) is not None:
        return None
    return (
        f"no {config.name} in {config.path}; `eig-tune search` and `train` download it there, or give a folder that "
        "has the four IDX files with --root"
    )


def _read_digits(config: DatasetConfig) -> ImageData:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    pixels = resized(pixels, config.image_size or _DIGITS_SIZE, config.channels or 1)
    return _held_out_apart(config.name, Images(pixels, digits.target.astype(np.int64)), _ten_digits())


def _ten_digits() -> tuple[str, ...]:
    return tuple("0123456789")


_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def _read_mnist(config: DatasetConfig) -> ImageData:
    return _read_idx_source(config, _ten_digits())


def _read_fashion_mnist(config: DatasetConfig) -> ImageData:
    return _read_idx_source(config, _FASHION_CLASSES)


def _read_idx_source(config: DatasetConfig, classes: tuple[str, ...]) -> ImageData:
    torchvision_name = _TORCHVISION[config.name]
    folder = find_idx_folder(config.path, torchvision_name) or _download(config, torchvision_name)
    parts = []
    for part in ("train", "test"):
        images = Images(*read_idx_part(folder, part))
        if images.labels is not None and images.labels.max() >= len(classes):
            raise DataError(f"dataset.root: {folder} holds labels above {len(classes) - 1}")
        natural_size = nearest_side(images.pixels.shape[-1])
        pixels = resized(images.pixels, config.image_size or natural_size, config.channels or 1)
        parts.append(Images(pixels, images.labels))
    train, held_out = parts
    return ImageData(config.name, classes, training=train, trainable=train, held_out=held_out)


def _download(config: DatasetConfig, torchvision_name: str) -> Path:
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, torchvision_name)(config.path, download=True)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"dataset.root: no {config.name} in {config.path}, and it could not be downloaded ({one_line(error)}). "
            f"Put the four IDX files (train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
            f"t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz) into "
            f"{config.path / torchvision_name / 'raw'}, or give `dataset.root` a folder that has them"
        ) from error
    folder = find_idx_folder(config.path, torchvision_name)
    assert folder is not None, "torchvision downloads into its own layout"
    return folder


def _read_arrays(config: DatasetConfig, arrays: ArrayImages | None) -> ImageData:
    if arrays is None:
        raise DataError(f"dataset.name: {_GIVEN_FROM_PYTHON}")
    _, channels, height, width = arrays.pixels.shape
    if height != width:
        raise DataError(f"images: they are {height} × {width}; crop them to squares")
    if config.channels == 1 and channels > 1:
        raise DataError("dataset.channels: got 1, and the images have 3 channels; make them grey, or write 3")
    if config.image_size is None and not is_side(height):
        raise DataError(
            f"images: they are {height} × {height}; the side must be a multiple of {MULTIPLE_OF} from "
            f"{SMALLEST_SIDE} to {LARGEST_SIDE}: set dataset.image_size to {nearest_side(height)}, and they are resized"
        )
    pixels = resized(arrays.pixels, config.image_size or height, config.channels or channels)
    return _held_out_apart(config.name, Images(pixels, arrays.labels), arrays.classes)


def _read_folder(config: DatasetConfig, cache: Path | None, on_progress: OnProgress) -> ImageData:
    found = read_folder(config.path, config.image_size or _FOLDER_SIZE, config.channels or 3, cache, on_progress)
    images = _held_out_apart(config.name, Images(found.images, found.labels), found.classes)
    return replace(images, left_out=found.left_out)


_READERS = {"digits": _read_digits, "mnist": _read_mnist, "fashion-mnist": _read_fashion_mnist}


def _held_out_apart(name: str, images: Images, classes: tuple[str, ...]) -> ImageData:
    """Set a fixed fifth of every class (of all images, without labels) apart as the held-out images."""
    labels = np.zeros(len(images), np.int64) if images.labels is None else images.labels
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < 2:
        few = f" ({named([classes[number] for number in np.flatnonzero(counts < 2)])})" if classes else ""
        raise DataError(f"dataset: every class{few} needs two images or more, one of them to hold out")
    held_counts = np.maximum((counts * HELD_OUT_SHARE).astype(np.int64), 1)
    held = choose(labels, held_counts, _HELD_OUT_SEED)
    rest = np.setdiff1d(np.arange(len(images)), held)
    train = images.take(rest)
    return ImageData(name, classes, training=train, trainable=train, held_out=images.take(held))
