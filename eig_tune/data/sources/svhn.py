"""SVHN: house numbers of street views, cropped to single digits, in MATLAB's files (Netzer et al. 2011)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.sources.base import MOST_BYTES, Part, Published, first_with, not_whole
from eig_tune.data.sources.digits import TEN_DIGITS

_FILES: dict[Part, str] = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


def _fetch(root: Path) -> None:
    from torchvision.datasets import SVHN

    for part in _FILES:
        SVHN(str(root), part, download=True)


def _read_part(folder: Path, part: Part) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """X is [32, 32, 3, N], y [N, 1] with 10 for the digit 0. What else such a file may hold is not loaded."""
    from scipy.io import loadmat, whosmat

    path = folder / _FILES[part]
    try:
        _check_shapes({name: shape for name, shape, _ in whosmat(path, appendmat=False)})
        arrays = loadmat(path, appendmat=False, variable_names=["X", "y"])
        images, labels = arrays["X"], arrays["y"]
        if images.dtype != np.uint8:
            raise ValueError(f"its images are {images.dtype}")
        labels = labels.astype(np.int64).reshape(-1)
    except Exception as error:  # SciPy's reader meets bytes that anybody wrote, and fails in every way that there is
        raise not_whole(path, error) from error
    if labels.size and labels.min() < 1:
        raise not_whole(path, "its labels are not 1 to 10")
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels % 10 + 10 * (labels > 10)


def _check_shapes(found: dict[str, tuple[int, ...]]) -> None:
    """See what the headers say before anything is unpacked."""
    images, labels = found.get("X", ()), found.get("y", ())
    if len(images) != 4 or images[:3] != (32, 32, 3) or sorted(labels) != sorted((1, images[3])):
        shown = ", ".join(f"{name} {list(shape)}" for name, shape in found.items()) or "nothing"
        raise ValueError(f"it has {shown[:200]}; SVHN's have X [32, 32, 3, N] and y [N, 1]")
    if np.prod([int(side) for side in images]) > MOST_BYTES:
        raise ValueError("it has more images than SVHN")


SVHN = Published(
    "svhn",
    "SVHN's digits of house numbers, 32 × 32 RGB (train and test; not the 531,131 extra ones)",
    TEN_DIGITS,
    size=32,
    channels=3,
    files=f"the two files {' and '.join(_FILES.values())}",
    folder=".",
    find=lambda root: first_with([root, root / "SVHN"], list(_FILES.values())),
    fetch=_fetch,
    read_part=_read_part,
).source()
