"""Reading MNIST-like data sets: IDX files, plain or gzipped, in any of the usual layouts."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eig_tune.errors import DataError

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def find_idx_folder(root: Path, torchvision_name: str) -> Path | None:
    """The folder below ``root`` that holds all four IDX files: ``root`` itself or torchvision's layout."""
    candidates = [root, root / "raw", root / torchvision_name / "raw"]
    return next((folder for folder in candidates if _complete(folder)), None)


def _complete(folder: Path) -> bool:
    return all(_existing(folder, name) is not None for names in _FILES.values() for name in names)


def _existing(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_idx_part(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images [N, 1, H, W] and labels [N] of ``part`` ("train" or "test")."""
    images_name, labels_name = _FILES[part]
    images = _read_idx(folder, images_name, dimensions=3)[:, None]
    labels = _read_idx(folder, labels_name, dimensions=1).astype(np.int64)
    if len(images) == 0:
        raise DataError(f"dataset.root: {folder} holds no {part} images")
    if len(images) != len(labels):
        raise DataError(f"dataset.root: {folder} holds {len(images)} {part} images but {len(labels)} labels")
    return images, labels


def _read_idx(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    path = _existing(folder, name)
    if path is None:
        raise DataError(f"dataset.root: {folder} has no {name} or {name}.gz")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        header = struct.unpack_from(f">HBB{dimensions}I", raw)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(_checked_shape(header, dimensions))
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DataError(
            f"dataset.root: {path} is not a whole IDX file ({error}); delete it and fetch it again"
        ) from error


def _checked_shape(header: tuple[int, ...], dimensions: int) -> tuple[int, ...]:
    zero, kind, found, *shape = header
    if (zero, kind, found) != (0, 8, dimensions):
        raise ValueError(f"wrong magic number {header[:3]}")
    return tuple(shape)
