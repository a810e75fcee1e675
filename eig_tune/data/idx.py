"""Reading IDX files, as MNIST has them: plain or gzipped, in any of the usual layouts."""

import gzip
import struct
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from eig_tune.errors import DataError

IdxFiles = Mapping[str, tuple[str, str]]  # part of a data set to the names of its images and labels
IDX_FILES: IdxFiles = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_MOST_BYTES = 2**32  # a header may claim anything, and a small gzip file unpack to anything


def find_idx_folder(root: Path, torchvision_name: str, files: IdxFiles = IDX_FILES) -> Path | None:
    """The folder below ``root`` that holds all four IDX files: ``root`` itself or torchvision's layout."""
    candidates = [root, root / "raw", root / torchvision_name / "raw"]
    return next((folder for folder in candidates if _complete(folder, files)), None)


def _complete(folder: Path, files: IdxFiles) -> bool:
    return all(_existing(folder, name) is not None for names in files.values() for name in names)


def _existing(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_idx_part(folder: Path, part: str, files: IdxFiles = IDX_FILES) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images [N, 1, H, W] and labels [N] of ``part`` ("train" or "test").

    Raises:
        DataError: a file is missing, damaged, or larger than any of these data sets.
    """
    images_name, labels_name = files[part]
    images = _read_idx(folder, images_name, dimensions=3)[:, None]
    labels = _read_idx(folder, labels_name, dimensions=1).astype(np.int64)
    if len(images) != len(labels):
        raise DataError(f"dataset.root: {folder} holds {len(images)} {part} images but {len(labels)} labels")
    return images, labels


def _read_idx(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    path = _existing(folder, name)
    if path is None:
        raise DataError(f"dataset.root: {folder} has no {name} or {name}.gz")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _array_in(file, dimensions)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DataError(
            f"dataset.root: {path} is not a whole IDX file ({error}); delete it and fetch it again"
        ) from error


def _array_in(file: "IO[bytes] | gzip.GzipFile", dimensions: int) -> NDArray[np.uint8]:
    head = file.read(4 + 4 * dimensions)
    shape = _checked_shape(struct.unpack(f">HBB{dimensions}I", head), dimensions)
    if prod(shape) > _MOST_BYTES:
        raise ValueError(f"its header says {' × '.join(map(str, shape))} bytes, which is too much")
    raw = file.read(prod(shape) + 1)
    return np.frombuffer(raw, np.uint8).reshape(shape)


def _checked_shape(header: tuple[int, ...], dimensions: int) -> tuple[int, ...]:
    zero, kind, found, *shape = header
    if (zero, kind, found) != (0, 8, dimensions):
        raise ValueError(f"wrong magic number {header[:3]}")
    return tuple(shape)
