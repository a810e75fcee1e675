"""Images in a NumPy file: ``.npy``, which is mapped into memory as it is where that is possible, or ``.npz``.

Shape suffixes: N images, C channels, H and W their height and width, S the side of a square.
"""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.arrays import Layout, as_bytes, fitting_side, labels_and_classes, layout_of
from eig_tune.data.images import ImageData, Images, held_out_apart
from eig_tune.data.pixel_file import PixelFile
from eig_tune.data.pool import kept_pool, written_pool
from eig_tune.data.resize import resized
from eig_tune.data.sources.base import Request, Source
from eig_tune.errors import DataError, EigTuneError, one_line

if TYPE_CHECKING:
    from eig_tune.data.settings import DatasetConfig

_AT_ONCE = 2**24  # bytes of images that are converted at once
_CONVERTER = 1  # raise it when the same file gives other pixels than before
_MOST_LABEL_BYTES = 2**31
_IMAGES, _LABELS = "images", "labels"


@dataclass(frozen=True)
class _Stored:
    """Images as a file has them: their shape, type and order, and where the raw bytes begin in the file, if anywhere.

    Attributes:
        parts: all images in order, some at once, as the file has them.
    """

    path: Path
    layout: Layout
    dtype: np.dtype[Any]
    offset: int | None
    parts: "Iterator[NDArray[Any]]"


def _read(request: Request) -> ImageData:
    path, labels = request.config.path, request.config.labels_path
    if path.suffix.lower() != ".npz":
        return _from_npy(request, None if labels is None else _loaded(labels))
    if labels is not None:
        raise DataError(f"dataset.labels: {path} is an .npz file, which has its labels inside; leave it out")
    return _from_npz(request)


def _from_npy(request: Request, labels: NDArray[Any] | None) -> ImageData:
    path = request.config.path
    with _one_line(path):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            raise ValueError("it is no .npy file")
    layout = layout_of(array.shape, f"dataset.root: {path}")
    offset = int(array.offset) if array.flags.c_contiguous and array.dtype == np.uint8 else None
    return _as_data(request, _Stored(path, layout, array.dtype, offset, _rows(array, layout)), labels)


def stored_side(path: Path) -> int:
    """The side of the images in a file, which is not read any further.

    Raises:
        DataError: it is no such file.
    """
    where = f"dataset.root: {path}"
    if path.suffix.lower() != ".npz":
        with _one_line(path):
            return layout_of(np.load(path, mmap_mode="r", allow_pickle=False).shape, where).height
    with _one_line(path), zipfile.ZipFile(path) as archive, archive.open(f"{_images_in(path, archive)}.npy") as opened:
        return layout_of(_header(opened)[0], where).height


def _images_in(path: Path, archive: zipfile.ZipFile) -> str:
    """The name of the array of an archive that has the images."""
    names = _names(archive)
    if _IMAGES not in names and len(names) != 1:
        found = ", ".join(names)[:200] or "none"
        raise DataError(f"dataset.root: {path} has the arrays {found}; it needs `{_IMAGES}` and may have `{_LABELS}`")
    return _IMAGES if _IMAGES in names else names[0]


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _rows(array: NDArray[Any], layout: Layout) -> Iterator[NDArray[Any]]:
    at_once = max(1, _AT_ONCE // (prod(layout.shape[1:]) * array.dtype.itemsize))
    for start in range(0, len(array), at_once):
        yield np.asarray(array[start : start + at_once])


def _from_npz(request: Request) -> ImageData:
    path = request.config.path
    with _one_line(path), zipfile.ZipFile(path) as archive:
        images, labels = _images_in(path, archive), None
        if _LABELS in _names(archive) and images != _LABELS:
            with archive.open(f"{_LABELS}.npy") as opened:
                labels = _whole(opened)
        with archive.open(f"{images}.npy") as opened:
            shape, dtype, fortran = _header(opened)
            if fortran and len(shape) > 1:
                raise DataError(f"dataset.root: {path} has its images in Fortran's order; save them in C's order")
            layout = layout_of(shape, f"dataset.root: {path}")
            return _as_data(request, _Stored(path, layout, dtype, None, _streamed(opened, layout, dtype)), labels)


def _as_data(request: Request, stored: _Stored, labels: NDArray[Any] | None) -> ImageData:
    numbers, classes = (None, ()) if labels is None else labels_and_classes(labels, stored.layout.count)
    return held_out_apart(request.config.name, Images(_pooled(request, stored), numbers), classes)


def _header(opened: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, type and whether the order is Fortran's, of an array in an archive; an array of objects is refused."""
    version = np.lib.format.read_magic(opened)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"its version {version} is not known")
    shape, fortran, dtype = read(opened)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not loaded")
    return shape, dtype, fortran


def _whole(opened: IO[bytes]) -> NDArray[Any]:
    shape, dtype, _ = _header(opened)
    size = prod(shape) * dtype.itemsize
    if size > _MOST_LABEL_BYTES:
        raise ValueError(f"its labels have the shape {list(shape)}")
    return np.frombuffer(_exactly(opened, size), dtype).reshape(shape)


def _streamed(opened: IO[bytes], layout: Layout, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    each = prod(layout.shape[1:]) * dtype.itemsize
    at_once = max(1, _AT_ONCE // each)
    for start in range(0, layout.shape[0], at_once):
        count = min(at_once, layout.shape[0] - start)
        yield np.frombuffer(_exactly(opened, count * each), dtype).reshape(count, *layout.shape[1:])


def _exactly(opened: IO[bytes], size: int) -> bytes:
    raw = opened.read(size)
    if len(raw) != size:
        raise ValueError("it ends before its arrays do")
    return raw


def _pooled(request: Request, stored: _Stored) -> NDArray[np.uint8] | PixelFile:
    """The images in the size and colours asked for: in the file itself, or converted once into the cache."""
    config, layout = request.config, stored.layout
    where = f"dataset.root: {stored.path}"
    size = fitting_side(config.image_size, layout, where)
    shape = (config.channels or layout.channels, size, size)
    as_bytes(np.zeros(1, stored.dtype), where)  # a type that is refused is, before anything is made
    if stored.offset is not None and shape == (layout.channels, layout.height, layout.width):
        last = layout.channels_last
        kept = (layout.count, size, size, shape[0]) if last else (layout.count, *shape)
        return PixelFile.of(stored.path, kept, stored.offset, channels_last=last)
    file = None if request.cache is None else request.cache / f"{_key(stored.path, shape)}.pixels"
    pool = kept_pool(file, layout.count, shape)
    return pool or _converted(request, stored, file, shape)


def _converted(
    request: Request, stored: _Stored, file: Path | None, shape: tuple[int, int, int]
) -> NDArray[np.uint8] | PixelFile:
    with _one_line(stored.path), written_pool(file, stored.layout.count, shape) as pool:
        for part in stored.parts:
            pixels = as_bytes(stored.layout.first(part), f"dataset.root: {stored.path}")
            pool.append(resized(pixels, shape[1], shape[0]))
            request.on_progress(pool.count, stored.layout.count)
        return pool.finish()


def _key(path: Path, shape: tuple[int, int, int]) -> str:
    status = path.stat()
    key = repr((_CONVERTER, str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, shape))
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _loaded(path: Path) -> NDArray[Any]:
    with _one_line(path, "dataset.labels"):
        labels = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(labels, np.ndarray):
            raise ValueError("it is no .npy file")
        if labels.nbytes > _MOST_LABEL_BYTES:
            raise ValueError(f"its shape is {list(labels.shape)}")
        return np.array(labels)


@contextmanager
def _one_line(path: Path, key: str = "dataset.root") -> Iterator[None]:
    """What reading a file of unknown origin may raise becomes one line."""
    try:
        yield
    except EigTuneError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{key}: there is no file {path}") from error
    except MemoryError as error:
        raise DataError(f"{key}: {path} claims more than this machine's memory holds") from error
    except Exception as error:  # damaged archives and headers fail in every way that there is
        what = one_line(error)[:200] or type(error).__name__
        raise DataError(f"{key}: {path} is no whole NumPy file of numbers ({what})") from error


def _absent(config: "DatasetConfig") -> str | None:
    return None if config.path.is_file() else f"there is no file {config.path}; give your .npy or .npz file with --root"


ARRAY_FILE = Source(
    "array-file",
    "images of a NumPy file: `.npy`, with their labels in the `.npy` file `labels` if there are any, or `.npz` with "
    "`images` and perhaps `labels`",
    _read,
    _absent,
    own=True,
    root="needed",
    root_is="your .npy or .npz file",
    image_size="that of the images",
    channels="those of the images",
)
