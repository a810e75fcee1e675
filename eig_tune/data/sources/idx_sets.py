"""Data sets of IDX files: MNIST and those made in its form."""

import string
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.idx import IDX_FILES, IdxFiles, find_idx_folder, read_idx_part
from eig_tune.data.sources.base import Part, Published
from eig_tune.data.sources.digits import TEN_DIGITS

_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_KMNIST_CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_SAME_IN_BOTH_CASES = "cijklmopsuvwxyz"  # letters whose two cases EMNIST's merged splits make one class
_MERGED = tuple(sign for sign in string.digits + string.ascii_uppercase + string.ascii_lowercase
                if sign not in _SAME_IN_BOTH_CASES)  # fmt: skip
_EMNIST_CLASSES = {
    "balanced": _MERGED,
    "letters": tuple(string.ascii_lowercase),
    "digits": TEN_DIGITS,
    "byclass": tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase),
    "bymerge": _MERGED,
}


def _fetch(torchvision_name: str, root: Path) -> None:
    import torchvision.datasets

    getattr(torchvision.datasets, torchvision_name)(root, download=True)


def _like_mnist(name: str, torchvision_name: str, meaning: str, classes: tuple[str, ...]) -> Published:
    return Published(
        name,
        meaning,
        classes,
        size=28,
        channels=1,
        files=f"the four IDX files ({', '.join(f'{file}.gz' for pair in IDX_FILES.values() for file in pair)})",
        folder=f"{torchvision_name}/raw",
        find=lambda root: find_idx_folder(root, torchvision_name),
        fetch=partial(_fetch, torchvision_name),
        read_part=read_idx_part,
    )


def _emnist(split: str) -> Published:
    files: IdxFiles = {
        part: (f"emnist-{split}-{part}-images-idx3-ubyte", f"emnist-{split}-{part}-labels-idx1-ubyte")
        for part in ("train", "test")
    }

    def read(folder: Path, part: Part) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """EMNIST's files have rows for columns; letters are counted from 1."""
        pixels, labels = read_idx_part(folder, part, files)
        return np.ascontiguousarray(pixels.transpose(0, 1, 3, 2)), labels - (split == "letters")

    def fetch(root: Path) -> None:
        import torchvision.datasets

        torchvision.datasets.EMNIST(root, split, download=True)

    return Published(
        f"emnist-{split}",
        f"EMNIST's split `{split}`: {len(_EMNIST_CLASSES[split])} classes of handwritten characters, 28 × 28",
        _EMNIST_CLASSES[split],
        size=28,
        channels=1,
        files=f"the four IDX files ({', '.join(f'{file}.gz' for pair in files.values() for file in pair)})",
        folder="EMNIST/raw",
        find=lambda root: find_idx_folder(root, "EMNIST", files),
        fetch=fetch,
        read_part=read,
    )


MNIST = _like_mnist("mnist", "MNIST", "MNIST's handwritten digits, 28 × 28", TEN_DIGITS).source()
FASHION_MNIST = _like_mnist(
    "fashion-mnist", "FashionMNIST", "Fashion-MNIST's pieces of clothing, 28 × 28", _FASHION_CLASSES
).source()
KMNIST = _like_mnist("kmnist", "KMNIST", "Kuzushiji-MNIST's handwritten hiragana, 28 × 28", _KMNIST_CLASSES).source()
EMNIST = tuple(_emnist(split).source() for split in _EMNIST_CLASSES)
