"""Images and labels as NumPy arrays or torch tensors, from memory or from files.

Shape suffixes: N images, C channels, H and W their height and width.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.resize import LARGEST_SIDE, MULTIPLE_OF, SMALLEST_SIDE, is_side, nearest_side
from eig_tune.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    ArrayLike = NDArray[Any] | Tensor

_ROUNDING = 1e-4  # by which a float image may leave 0..1, as resizing and normalising do
_FORMS = "[N, S, S], [N, C, S, S] or [N, S, S, C] with C 1 or 3"


@dataclass(frozen=True)
class ArrayImages:
    """Images uint8 [N, C, H, W], labels int64 [N] or None, and the names of the classes that the labels count."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Which axis of an array of images is which.

    Attributes:
        shape: the array's own.
        channels_last: whether it is [N, H, W, C].
    """

    shape: tuple[int, ...]
    count: int
    channels: int
    height: int
    width: int
    channels_last: bool

    def first(self, images: NDArray[Any]) -> NDArray[Any]:
        """Images of this layout as [N, C, H, W]."""
        if len(self.shape) == 3:
            return images[:, None]
        return images.transpose(0, 3, 1, 2) if self.channels_last else images


def layout_of(shape: tuple[int, ...], where: str) -> Layout:
    """How images lie in an array: three axes are [N, H, W]; of four, the one after N or the last one has the channels,
    whichever has 1 or 3 entries.

    Raises:
        DataError: neither or both have, or there is no image; begins with ``where``.
    """
    if len(shape) == 3:
        layout = Layout(shape, shape[0], 1, shape[1], shape[2], False)
    elif len(shape) == 4 and shape[1] in (1, 3) and shape[3] in (1, 3):
        raise DataError(f"{where}: got shape {shape}, where channels may be first or last; give {_FORMS}, S 4 or more")
    elif len(shape) == 4 and shape[1] in (1, 3):
        layout = Layout(shape, *shape, False)
    elif len(shape) == 4 and shape[3] in (1, 3):
        layout = Layout(shape, shape[0], shape[3], shape[1], shape[2], True)
    else:
        raise DataError(f"{where}: got shape {shape}; give {_FORMS}")
    if 0 in shape:
        raise DataError(f"{where}: got shape {shape}, which holds no image; give {_FORMS}")
    return layout


def fitting_side(asked: int | None, layout: Layout, where: str) -> int:
    """The side to which images are resized: the one asked for, else their own.

    Raises:
        DataError: they are no squares, or none is asked for and the networks cannot make their own; begins with
            ``where``.
    """
    side = layout.height
    if layout.height != layout.width:
        raise DataError(f"{where}: they are {layout.height} × {layout.width}; crop them to squares")
    if asked is None and not is_side(side):
        raise DataError(
            f"{where}: they are {side} × {side}; the side must be a multiple of {MULTIPLE_OF} from "
            f"{SMALLEST_SIDE} to {LARGEST_SIDE}: set dataset.image_size to {nearest_side(side)}, and they are resized"
        )
    return asked or side


def from_arrays(images: "ArrayLike", labels: "ArrayLike | None" = None) -> ArrayImages:
    """See that arrays are images and labels, and give them the form that data sets have.

    Args:
        images: as :func:`layout_of` takes them; uint8 from 0 to 255, or floats from 0 to 1.
        labels: [N], whole numbers from 0 on or text; the classes are the different labels, in order.

    Raises:
        DataError: they are not.
    """
    array = _as_numpy(images)
    pixels_NCHW = np.array(as_bytes(layout_of(array.shape, "images").first(array)), order="C")  # nobody else's
    if labels is None:
        return ArrayImages(pixels_NCHW, None, ())
    return ArrayImages(pixels_NCHW, *labels_and_classes(_as_numpy(labels), len(pixels_NCHW)))


def labels_and_classes(labels: NDArray[Any], count: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels of ``count`` images as numbers from 0 on [N], and the names that they stand for.

    Raises:
        DataError: they are no labels, or all the same.
    """
    names, numbers_N = np.unique(_checked_labels(labels, count), return_inverse=True)
    if len(names) < 2:
        raise DataError(f"labels: all of them are {str(names[0])!r}; give two classes or more, or no labels")
    return numbers_N.astype(np.int64), tuple(map(str, names))


def images_only(images: "ArrayLike") -> NDArray[np.uint8]:
    """Images of any of the forms of :func:`from_arrays` as uint8 [N, C, H, W].

    Raises:
        DataError: they are none.
    """
    return from_arrays(images).pixels


def as_bytes(images: NDArray[Any], where: str = "images") -> NDArray[np.uint8]:
    """Images of uint8 from 0 to 255, as they are, or of floats from 0 to 1, as uint8.

    Raises:
        DataError: they are neither; begins with ``where``.
    """
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(f"{where}: got {images.dtype}; give uint8 from 0 to 255, or floats from 0 to 1")
    low, high = float(images.min()), float(images.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN is neither
        raise DataError(f"{where}: got floats from {low:g} to {high:g}; floats are from 0 to 1, and 0 to 255 are uint8")
    pixels: NDArray[np.uint8] = np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)
    return pixels


def _as_numpy(array: "ArrayLike") -> NDArray[Any]:
    if isinstance(array, np.ndarray):
        return array
    import torch

    if isinstance(array, torch.Tensor):
        tensor = array.detach().cpu()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    raise DataError(f"data: got {type(array).__name__}; give NumPy arrays or torch tensors")


def _checked_labels(labels: NDArray[Any], count: int) -> NDArray[Any]:
    if labels.shape != (count,):
        raise DataError(f"labels: got shape {labels.shape} for {count} images; give one label an image, [{count}]")
    if not (np.issubdtype(labels.dtype, np.integer) or labels.dtype.kind == "U"):
        raise DataError(f"labels: got {labels.dtype}; give whole numbers or text")
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise DataError(f"labels: got {labels.min()}; labels count from 0, and images without one must be left out")
    return labels
