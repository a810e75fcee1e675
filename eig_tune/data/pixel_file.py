"""Images that lie in a file and are mapped into memory, so that processes of a machine share one copy of them.

Shape suffixes: N images, C channels, H and W their height and width.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eig_tune.errors import DataError, one_line

_MAPPED_AT_ONCE = 16


@dataclass(frozen=True)
class PixelFile:
    """Where images lie in a file. What is sent to another process of the machine is this, and not the images.

    Attributes:
        offset: of the first image, in bytes.
        shape: [N, C, H, W], or [N, H, W, C] if ``channels_last``.
        size: of the file, in bytes.
        modified: when it was last written, in nanoseconds; images that change during a search are refused.
    """

    path: Path
    offset: int
    shape: tuple[int, int, int, int]
    channels_last: bool
    size: int
    modified: int

    @classmethod
    def of(
        cls, path: Path, shape: tuple[int, int, int, int], offset: int = 0, *, channels_last: bool = False
    ) -> "PixelFile":
        """The images of a file as it is now.

        Raises:
            OSError: there is no such file.
        """
        status = path.stat()
        return cls(path.absolute(), offset, shape, channels_last, status.st_size, status.st_mtime_ns)

    def array(self) -> NDArray[np.uint8]:
        """The images [N, C, H, W], mapped into memory; they cannot be written.

        Raises:
            DataError: the file is gone, or was changed.
        """
        mapped = _mapped(self)
        return mapped.transpose(0, 3, 1, 2) if self.channels_last else mapped


@lru_cache(maxsize=_MAPPED_AT_ONCE)
def _mapped(file: PixelFile) -> NDArray[np.uint8]:
    """The images in the order of the file, mapped once in each process."""
    try:
        if PixelFile.of(file.path, file.shape, file.offset, channels_last=file.channels_last) != file:
            raise DataError(f"dataset.root: {file.path} was changed since the search began; put it back, or begin anew")
        if 0 in file.shape:
            return np.empty(file.shape, np.uint8)  # there is nothing to map
        return np.memmap(file.path, np.uint8, "r", file.offset, file.shape).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise DataError(f"dataset.root: {file.path} cannot be mapped into memory ({one_line(error)})") from error
