"""Reading many image files: in threads, and only those that were not read before."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from eig_tune.data.left_out import CANNOT_BE_OPENED
from eig_tune.data.listing import ImageFile
from eig_tune.data.picture_cache import Row, cache_file, load_rows, save_rows
from eig_tune.data.pixels import Unreadable, decode, formats, open_regular

OnProgress = Callable[[int, int], None]
_MOST_THREADS = 16
_AT_ONCE = 64
Item = TypeVar("Item")
Result = TypeVar("Result")


def silent(done: int, of: int) -> None:
    """An ``on_progress`` that does nothing."""


def read_files(
    root: Path,
    files: Sequence[ImageFile],
    image_size: int,
    channels: int,
    cache: Path | None = None,
    on_progress: OnProgress = silent,
) -> list[Row]:
    """Read the images ``files`` below ``root``, in their order.

    Args:
        cache: folder where what was read is kept; what is known there is not read again.
        on_progress: called with (files read, files to read); never, if all are known.
    """
    file = None if cache is None else cache_file(cache, root, image_size, channels)
    before = {} if file is None else load_rows(file)
    rows = {each.path: before[each.path] for each in files if _known(before, each)}
    missing = [each for each in files if each.path not in rows]
    contents = {row.digest: row for row in before.values()}

    def read(each: ImageFile) -> Row:
        return _read(root / each.path, each, image_size, channels, contents)

    try:
        for each, row in zip(missing, in_parallel(read, missing, on_progress), strict=True):
            rows[each.path] = row
    finally:  # after Ctrl-C, too: what has been read is not read again
        if file is not None and (missing or len(before) != len(rows)):
            save_rows(file, rows)
    return [rows[each.path] for each in files]


def _known(rows: Mapping[str, Row], file: ImageFile) -> bool:
    return file.path in rows and rows[file.path].stamp == file.stamp


def _read(path: Path, file: ImageFile, image_size: int, channels: int, contents: Mapping[bytes, Row]) -> Row:
    digest = b""
    try:
        with open_regular(path) as opened:
            digest = hashlib.file_digest(opened, "sha256").digest()
            if digest in contents:
                return replace(contents[digest], stamp=file.stamp)
            opened.seek(0)
            return Row(file.stamp, digest, decode(opened, image_size, channels))
    except Unreadable as error:
        return Row(file.stamp, digest, None, str(error))
    except OSError:  # the disk or the network fails while it is read; another time it may not
        return Row(file.stamp, b"", None, CANNOT_BE_OPENED)


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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST_THREADS, 2 * cores)
