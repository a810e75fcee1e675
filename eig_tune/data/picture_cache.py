"""What was read of a user's image files before, so that the second command starts at once.

For each folder or list, size and colours there is a file of arrays that says what every image file gave, and beside it
the pool of their pixels, which is mapped into memory. An image counts as unchanged when the size of its file and both
its times (of the content, and of the entry, which no program can set) are as they were; one that was touched, renamed
or copied over is known by its content and not decoded again.
"""

import hashlib
import logging
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from eig_tune.data.pixel_file import PixelFile
from eig_tune.data.pixels import READER
from eig_tune.data.pool import kept_pool

_log = logging.getLogger(__name__)
_SUPERSEDED_SECONDS = 7 * 24 * 3600.0  # how long a search may still run on a pool that was replaced by a newer one
_END = b"\0"  # no file name holds it


@dataclass(frozen=True, slots=True)
class Row:
    """One file as it was read.

    Attributes:
        stamp: as :class:`eig_tune.data.listing.ImageFile` has it.
        digest: SHA-256 of the content; empty if the file could not be opened.
        place: of its pixels in the pool, or None if the file gives no picture, for the ``reason``.
    """

    stamp: tuple[int, int, int]
    digest: bytes
    place: int | None
    reason: str = ""


@dataclass(frozen=True)
class Kept:
    """What was read before: the rows by path, and the pool that their places count in."""

    rows: Mapping[str, Row]
    pool: PixelFile | None


def cache_file(folder: Path, root: Path, image_size: int, channels: int) -> Path:
    """Where it is kept what the images of ``root``, a folder or a list, are in this size and number of channels."""
    key = repr((READER, PIL.__version__, os.fsencode(root.resolve()), image_size, channels))
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def new_pool(file: Path) -> Path:
    """Where a new pool of the cache ``file`` is to lie."""
    return file.with_name(f"{file.stem}-{uuid.uuid4().hex[:8]}.pixels")


def load_kept(file: Path, shape: tuple[int, int, int]) -> Kept:
    """What :func:`save_kept` wrote; nothing where there is no such file, or a damaged one.

    Args:
        shape: [C, S, S] of each image.
    """
    if not file.is_file():
        return Kept({}, None)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            names = {name: arrays[name] for name in arrays.files if name != "pixels"}
        if "pool" not in names:
            return Kept({}, None)  # of an earlier version, which had the pixels inside
        pool = kept_pool(file.with_name(Path(_text(names["pool"])).name), int(names["count"]), shape)
        if pool is None:
            raise ValueError("its images are gone")
        os.utime(pool.path, ns=(time.time_ns(), pool.modified))  # it is in use
        return Kept(_rows(names), pool)
    except Exception as error:  # a damaged archive fails in every way that there is; its images are read anew
        _log.warning("%s is damaged (%s); the images are read again", file, error)
        return Kept({}, None)


def _rows(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, Row]:
    paths, reasons = (arrays[name].tobytes().split(_END) for name in ("paths", "reasons"))
    raw, last = arrays["digests"].tobytes(), int(arrays["count"])
    if not paths[0]:
        return {}
    rows = {}
    columns = zip(paths, reasons, arrays["stamps"].tolist(), arrays["places"].tolist(), strict=True)
    for number, (path, reason, stamp, place) in enumerate(columns):
        if place >= last:
            raise ValueError("it counts more images than there are")
        read = None if place < 0 else place
        digest = raw[32 * number : 32 * number + 32]
        rows[os.fsdecode(path)] = Row(tuple(stamp), digest, read, reason.decode())
    return rows


def save_kept(file: Path, rows: Mapping[str, Row], pool: PixelFile) -> None:
    """Write the rows of files that could be opened; whoever reads or writes at the same time sees a whole file.

    A place that cannot be written is a warning: the images are read again the next time.
    """
    beside = file.with_suffix(f".{uuid.uuid4().hex[:8]}.tmp")
    try:
        with beside.open("wb") as opened:
            known = {path: row for path, row in rows.items() if row.digest}
            np.savez(opened, allow_pickle=False, **_arrays(known, pool))
        beside.replace(file)
        _clear(file, pool.path)
    except OSError as error:
        _log.warning("%s cannot be written (%s); the images will be read again", file, error.strerror)
        with suppress(OSError):
            beside.unlink()


def _clear(file: Path, pool: Path) -> None:
    """Delete pools that were replaced, when no search can map them any more."""
    for old in file.parent.glob(f"{file.stem}-*.pixels"):
        if old != pool and time.time() - old.stat().st_atime > _SUPERSEDED_SECONDS:
            old.unlink(missing_ok=True)


def _arrays(rows: Mapping[str, Row], pool: PixelFile) -> dict[str, NDArray[np.generic]]:
    places: Sequence[int] = [-1 if row.place is None else row.place for row in rows.values()]
    return {
        "paths": _bytes(_END.join(map(os.fsencode, rows))),
        "reasons": _bytes(_END.join(row.reason.encode() for row in rows.values())),
        "stamps": np.array([row.stamp for row in rows.values()], dtype=np.int64).reshape(-1, 3),
        "digests": _bytes(b"".join(row.digest for row in rows.values())),
        "places": np.array(places, dtype=np.int64),
        "pool": _bytes(pool.path.name.encode()),
        "count": np.array(pool.shape[0]),
    }


def _text(raw: NDArray[np.generic]) -> str:
    return raw.tobytes().decode()


def _bytes(raw: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(raw, dtype=np.uint8)
