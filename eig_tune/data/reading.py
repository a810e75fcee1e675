"""Reading many image files: in threads, and only those that were not read before."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.left_out import CANNOT_BE_OPENED
from eig_tune.data.listing import ImageFile
from eig_tune.data.picture_cache import Kept, Row, cache_file, load_kept, new_pool, save_kept
from eig_tune.data.pixel_file import PixelFile
from eig_tune.data.pixels import Unreadable, decode, formats, open_regular
from eig_tune.data.pool import PoolWriter, written_pool
from eig_tune.processors import processors

OnProgress = Callable[[int, int], None]
_MOST_THREADS = 16
_AT_ONCE = 64
Item = TypeVar("Item")
Result = TypeVar("Result")


def silent(done: int, of: int) -> None:
    """An ``on_progress`` that does nothing."""


@dataclass(frozen=True)
class Pictures:
    """What image files gave, in the order of the files; their pixels lie in ``pool`` [N, C, S, S] at ``row.place``."""

    rows: Sequence[Row]
    pool: NDArray[np.uint8] | PixelFile


def read_files(
    root: Path,
    files: Sequence[ImageFile],
    image_size: int,
    channels: int,
    cache: Path | None = None,
    on_progress: OnProgress = silent,
) -> Pictures:
    """Read the images ``files``.

    Args:
        root: the folder to which their paths are relative, or the list that names them, in whose folder they are.
        cache: folder where what was read is kept; what is known there is not read again.
        on_progress: called with (files read, files to read); never, if all are known.

    Raises:
        DataError: there is no room for them.
    """
    shape = (channels, image_size, image_size)
    file = None if cache is None or not files else cache_file(cache, root, image_size, channels)
    before = Kept({}, None) if file is None else load_kept(file, shape)
    known = {each.path: before.rows[each.path] for each in files if _known(before.rows, each)}
    missing = [each for each in files if each.path not in known]
    if before.pool is not None and not missing and len(before.rows) == len(known):
        return Pictures([known[each.path] for each in files], before.pool)
    with written_pool(None if file is None else new_pool(file), len(files), shape) as pool:
        written = _Written(pool, before)
        for path, row in known.items():
            written.keep(path, row)
        try:
            below = root.parent if root.is_file() else root
            read = in_parallel(lambda each: _read(below / each.path, shape, written), missing, on_progress)
            for each, picture in zip(missing, read, strict=True):
                written.add(each, picture)
        finally:  # after Ctrl-C, too: what has been read is not read again
            stored = pool.finish()
            if file is not None and isinstance(stored, PixelFile):
                save_kept(file, written.rows, stored)
    return Pictures([written.rows[each.path] for each in files], stored)


def _known(rows: Mapping[str, Row], file: ImageFile) -> bool:
    return file.path in rows and rows[file.path].stamp == file.stamp


@dataclass(frozen=True)
class _Picture:
    """What one file gave: the digest of its content, and its pixels [C, S, S] or the reason why it has none."""

    digest: bytes
    pixels: NDArray[np.uint8] | None
    reason: str = ""


class _Written:
    """Rows whose pixels are in a new pool, and what was known before of files with the same content."""

    def __init__(self, pool: PoolWriter, before: Kept) -> None:
        self.rows: dict[str, Row] = {}
        self._pool = pool
        self._before = None if before.pool is None else before.pool.array()
        self._contents = {row.digest: row for row in before.rows.values()}

    def keep(self, path: str, row: Row) -> None:
        """Take over what was known before."""
        self.rows[path] = replace(row, place=self._append(self._pixels(row)))

    def add(self, file: ImageFile, picture: _Picture) -> None:
        """Take what a file gave."""
        self.rows[file.path] = Row(file.stamp, picture.digest, self._append(picture.pixels), picture.reason)

    def of_content(self, digest: bytes) -> _Picture | None:
        """What another file of the same content gave before."""
        row = self._contents.get(digest)
        return None if row is None else _Picture(digest, self._pixels(row), row.reason)

    def _pixels(self, row: Row) -> NDArray[np.uint8] | None:
        return None if row.place is None or self._before is None else self._before[row.place]

    def _append(self, pixels: NDArray[np.uint8] | None) -> int | None:
        if pixels is None:
            return None
        self._pool.append(pixels)
        return self._pool.count - 1


def _read(path: Path, shape: tuple[int, int, int], written: _Written) -> _Picture:
    digest = b""
    try:
        with open_regular(path) as opened:
            digest = hashlib.file_digest(opened, "sha256").digest()
            known = written.of_content(digest)
            if known is not None:
                return known
            opened.seek(0)
            return _Picture(digest, decode(opened, shape[1], shape[0]))
    except Unreadable as error:
        return _Picture(digest, None, str(error))
    except OSError:  # the disk or the network fails while it is read; another time it may not
        return _Picture(b"", None, CANNOT_BE_OPENED)


def in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], on_progress: OnProgress = silent
) -> Iterator[Result]:
    """``function`` of every item, in order, computed in threads: Pillow decodes, and files are waited for, beside
    each other."""
    formats()  # its plugins are imported here, by one thread
    with warnings.catch_warnings(), ThreadPoolExecutor(_threads()) as pool:
        warnings.simplefilter("ignore")  # Pillow's, of oddities in files that it reads nevertheless
        done = 0
        for start in range(0, len(items), _AT_ONCE):
            for result in pool.map(function, items[start : start + _AT_ONCE]):
                done += 1
                on_progress(done, len(items))
                yield result


def _threads() -> int:
    return min(_MOST_THREADS, 2 * processors().usable)
