"""Images and labels that somebody has in memory, as NumPy arrays or torch tensors.

Shape suffixes: N images, C channels, H and W their height and width.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eig_tune.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    ArrayLike = NDArray[Any] | Tensor

_ROUNDING = 1e-4  # by which a float image may leave 0..1, as resizing and normalising do


@dataclass(frozen=True)
class ArrayImages:
    """Images uint8 [N, C, H, W], labels int64 [N] or None, and the names of the classes that the labels count."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]


def from_arrays(images: "ArrayLike", labels: "ArrayLike | None" = None) -> ArrayImages:
    """See that arrays are images and labels, and give them the form that data sets have.

    Args:
        images: [N, C, H, W] with one or three channels, or [N, H, W]; uint8 from 0 to 255, or floats from 0 to 1.
        labels: [N], whole numbers from 0 on or text; the classes are the different labels, in order.

    Raises:
        DataError: they are not.
    """
    pixels_NCHW = _as_bytes(_with_channels(_as_numpy(images)))
    if labels is None:
        return ArrayImages(pixels_NCHW, None, ())
    names, numbers_N = np.unique(_checked_labels(_as_numpy(labels), len(pixels_NCHW)), return_inverse=True)
    if len(names) < 2:
        raise DataError(f"labels: all of them are {str(names[0])!r}; give two classes or more, or no labels")
    return ArrayImages(pixels_NCHW, numbers_N.astype(np.int64), tuple(map(str, names)))


def images_only(images: "ArrayLike") -> NDArray[np.uint8]:
    """Images of any of the forms of :func:`from_arrays` as uint8 [N, C, H, W].

    Raises:
        DataError: they are none.
    """
    return from_arrays(images).pixels


def _as_numpy(array: "ArrayLike") -> NDArray[Any]:
    if isinstance(array, np.ndarray):
        return array
    import torch

    if isinstance(array, torch.Tensor):
        tensor = array.detach().cpu()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    raise DataError(f"data: got {type(array).__name__}; give NumPy arrays or torch tensors")


def _with_channels(images: NDArray[Any]) -> NDArray[Any]:
    images_NCHW = images[:, None] if images.ndim == 3 else images
    if images_NCHW.ndim == 4 and images_NCHW.shape[1] in (1, 3) and images_NCHW.size:
        return images_NCHW
    last = images.ndim == 4 and images.shape[3] in (1, 3)
    remedy = (
        "channels come first: images.transpose(0, 3, 1, 2)" if last else "give [N, C, S, S], C 1 or 3, or [N, S, S]"
    )
    raise DataError(f"images: got shape {images.shape}; {remedy}")


def _as_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype == np.uint8:
        return images.copy()  # what somebody changes later must not change a search
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(f"images: got {images.dtype}; give uint8 from 0 to 255, or floats from 0 to 1")
    low, high = float(images.min()), float(images.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN is neither
        raise DataError(f"images: got floats from {low:g} to {high:g}; floats are from 0 to 1, and 0 to 255 are uint8")
    as_bytes: NDArray[np.uint8] = np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)
    return as_bytes


def _checked_labels(labels: NDArray[Any], count: int) -> NDArray[Any]:
    if labels.shape != (count,):
        raise DataError(f"labels: got shape {labels.shape} for {count} images; give one label an image, [{count}]")
    if not (np.issubdtype(labels.dtype, np.integer) or labels.dtype.kind == "U"):
        raise DataError(f"labels: got {labels.dtype}; give whole numbers or text")
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise DataError(f"labels: got {labels.min()}; labels count from 0, and images without one must be left out")
    return labels
