"""STL-10: photographs of 96 × 96 as raw bytes, channels first and columns before rows (Coates et al. 2011)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.sources.base import Part, Published, first_with, not_whole, whole_file

_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
_FOLDER = "stl10_binary"
_SIDE = 96


def _fetch(root: Path) -> None:
    from torchvision.datasets import STL10

    STL10(str(root), "train", download=True)


def _read_part(folder: Path, part: Part) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Labels are counted from 1."""
    path = folder / f"{part}_X.bin"
    labels = np.frombuffer(whole_file(folder / f"{part}_y.bin"), np.uint8).astype(np.int64) - 1
    raw = np.frombuffer(whole_file(path), np.uint8)
    if raw.size % (3 * _SIDE * _SIDE):
        raise not_whole(path, f"{raw.size:,} bytes are not a whole number of images of 3 × {_SIDE} × {_SIDE}")
    return np.ascontiguousarray(raw.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 1, 3, 2)), labels


STL_10 = Published(
    "stl-10",
    "STL-10's labelled photographs, 96 × 96 RGB (not the 100,000 unlabelled ones)",
    _CLASSES,
    size=_SIDE,
    channels=3,
    files="the four files train_X.bin, train_y.bin, test_X.bin and test_y.bin",
    folder=_FOLDER,
    find=lambda root: first_with(
        [root, root / _FOLDER], [f"{part}_{what}.bin" for part in ("train", "test") for what in "Xy"]
    ),
    fetch=_fetch,
    read_part=_read_part,
).source()
