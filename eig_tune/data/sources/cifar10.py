"""CIFAR-10: its binary files, or the pickled ones that torchvision downloads, which are read without unpickling.

Shape suffixes: N images, C channels, H and W their height and width.
"""

import pickletools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.sources.base import Part, Published, first_with, not_whole, whole_file

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BINARY, _PICKLED = "cifar-10-batches-bin", "cifar-10-batches-py"
_BATCHES: dict[Part, list[str]] = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
_NAMES = [name for names in _BATCHES.values() for name in names]
_SHAPE = (3, 32, 32)
_BYTES = 3 * 32 * 32
_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"


def _find(root: Path) -> Path | None:
    binary = first_with([root, root / _BINARY], [f"{name}.bin" for name in _NAMES])
    return binary or first_with([root, root / _PICKLED], _NAMES)


def _fetch(root: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    download_and_extract_archive(_URL, str(root), md5=_MD5)


def _read_part(folder: Path, part: Part) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    binary = (folder / f"{_NAMES[0]}.bin").is_file()
    batches = [_binary(folder / f"{name}.bin") if binary else _pickled(folder / name) for name in _BATCHES[part]]
    pixels, labels = zip(*batches, strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def _binary(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Each image is a byte for its label, then its bytes [3, 32, 32]."""
    raw = np.frombuffer(whole_file(path), np.uint8)
    if raw.size % (1 + _BYTES):
        raise not_whole(path, f"{raw.size:,} bytes are not a whole number of images of {1 + _BYTES:,} bytes")
    rows = raw.reshape(-1, 1 + _BYTES)
    return rows[:, 1:].reshape(-1, *_SHAPE), rows[:, 0].astype(np.int64)


def _pickled(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A pickle is a program, and is not run here: of what it would make, the numbers after the word ``labels`` and the
    longest string are taken, which are the labels and the pixels."""
    labels, pixels, in_labels = list[int](), b"", False
    try:
        for opcode, value, _ in pickletools.genops(whole_file(path)):
            if isinstance(value, str | bytes) and not opcode.name.endswith("GLOBAL"):
                text = value.encode("latin-1") if isinstance(value, str) else value
                in_labels = text == b"labels" or (in_labels and not labels)
                pixels = max(pixels, text, key=len)
            elif in_labels and opcode.name.startswith("BININT") and isinstance(value, int):
                labels.append(value)
    except (ValueError, UnicodeError, EOFError, IndexError) as error:
        raise not_whole(path, error) from error
    if not labels or len(pixels) != len(labels) * _BYTES:
        raise not_whole(path, f"{len(labels)} labels and {len(pixels):,} bytes of pixels were found")
    return np.frombuffer(pixels, np.uint8).reshape(-1, *_SHAPE), np.array(labels, dtype=np.int64)


CIFAR_10 = Published(
    "cifar-10",
    "CIFAR-10's photographs of ten kinds of things, 32 × 32 RGB",
    _CLASSES,
    size=32,
    channels=3,
    files="the files data_batch_1.bin to data_batch_5.bin and test_batch.bin",
    folder=_BINARY,
    find=_find,
    fetch=_fetch,
    read_part=_read_part,
).source()
