"""Writing images one after the other into a file that is mapped into memory afterwards: the pool of a data set.

A pool lies in the home's folder of images. Its file is whole or not there, and never written again: what is new gets a
file of its own, so that a search that maps the old one goes on with it.

Shape suffixes: N images, C channels, S the side.
"""

import logging
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.pixel_file import PixelFile
from eig_tune.errors import DataError

_log = logging.getLogger(__name__)
_ABANDONED_SECONDS = 3600.0


class PoolWriter:
    """An open pool. ``finish`` gives its images; until then they are nowhere.

    Args:
        shape: [C, S, S] of each image.
        file: where the images are to lie; None to have them in memory.
    """

    def __init__(self, shape: tuple[int, int, int], file: Path | None, opened: IO[bytes]) -> None:
        self.count = 0
        self._shape = shape
        self._file = file
        self._opened = opened

    def append(self, pixels: NDArray[np.uint8]) -> None:
        """Write images [C, S, S] or [N, C, S, S].

        Raises:
            DataError: there is no room for them.
        """
        try:
            self._opened.write(np.ascontiguousarray(pixels).data)
        except OSError as error:
            raise DataError(f"{self._named()} cannot be written ({error.strerror}); make room for it") from error
        self.count += pixels.size // int(np.prod(self._shape))

    def finish(self) -> NDArray[np.uint8] | PixelFile:
        """Give all images, in the file or in memory.

        Raises:
            DataError: there is no room for them.
        """
        shape = (self.count, *self._shape)
        try:
            self._opened.flush()
            if self._file is None:
                self._opened.seek(0)
                return np.fromfile(self._opened, np.uint8).reshape(shape)
            Path(self._opened.name).replace(self._file)
            return PixelFile.of(self._file, shape)
        except OSError as error:
            raise DataError(f"{self._named()} cannot be written ({error.strerror}); make room for it") from error

    def _named(self) -> str:
        return "the temporary file of the images" if self._file is None else str(self._file)


@contextmanager
def written_pool(file: Path | None, count: int, shape: tuple[int, int, int]) -> Iterator[PoolWriter]:
    """A pool of at most ``count`` images that is written in the block; what is not finished in it is deleted.

    A place that cannot be written is a warning: the images come into memory then, and are read again the next time.

    Raises:
        DataError: there is no room for so many images.
    """
    beside = None if file is None else file.with_suffix(f".{uuid.uuid4().hex[:8]}.tmp")
    opened = None if beside is None else _opened(beside)
    if opened is None:
        with tempfile.TemporaryFile() as temporary:
            _check_room(Path(tempfile.gettempdir()), count, shape)
            yield PoolWriter(shape, None, temporary)
        return
    try:
        with opened:
            _check_room(Path(opened.name).parent, count, shape)
            yield PoolWriter(shape, file, opened)
    finally:
        with suppress(OSError):
            Path(opened.name).unlink(missing_ok=True)


def _opened(beside: Path) -> IO[bytes] | None:
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        _clear(beside.parent)
        return beside.open("wb")
    except OSError as error:
        _log.warning("%s cannot be written (%s); the images will be read again", beside, error.strerror)
        return None


def _check_room(folder: Path, count: int, shape: tuple[int, int, int]) -> None:
    needed, free = count * int(np.prod(shape)), shutil.disk_usage(folder).free
    if needed > free:
        what = f"{count:,} images of {shape[1]} × {shape[2]} take {needed / 1e9:.1f} GB"
        raise DataError(f"{what}, and {folder} has {free / 1e9:.1f} GB left; make room, or set a smaller image_size")


def _clear(folder: Path) -> None:
    """Delete what writers that were killed have left."""
    for left in folder.glob("*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink(missing_ok=True)


def kept_pool(file: Path | None, count: int, shape: tuple[int, int, int]) -> PixelFile | None:
    """The pool of that many images that was written before, if there is one and it is whole."""
    if file is None or not file.is_file():
        return None
    found = PixelFile.of(file, (count, *shape))
    return found if found.size == count * int(np.prod(shape)) else None
