"""What was read of a folder's images before, so that the second command starts at once.

One file of arrays per folder, size and colours. An image counts as unchanged when the size of its file and both its
times (of the content, and of the entry, which no program can set) are as they were; one that was touched, renamed or
copied over is known by its content and not decoded again.
"""

import hashlib
import logging
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from eig_tune.data.pixels import READER

_log = logging.getLogger(__name__)
_ABANDONED_SECONDS = 3600.0
_END = b"\0"  # no file name holds it


@dataclass(frozen=True)
class Row:
    """One file as it was read.

    Attributes:
        stamp: as :class:`eig_tune.data.listing.ImageFile` has it.
        digest: SHA-256 of the content; empty if the file could not be opened.
        pixels: [C, S, S], or None if the file gives no picture, for the ``reason``.
    """

    stamp: tuple[int, int, int]
    digest: bytes
    pixels: NDArray[np.uint8] | None
    reason: str = ""


def cache_file(folder: Path, root: Path, image_size: int, channels: int) -> Path:
    """Where the images below ``root`` are kept in this size and number of channels."""
    key = repr((READER, PIL.__version__, os.fsencode(root.resolve()), image_size, channels))
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def load_rows(file: Path) -> dict[str, Row]:
    """The rows by path, as :func:`save_rows` wrote them; none where there is no such file, or a damaged one."""
    if not file.is_file():
        return {}
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return _rows({name: arrays[name] for name in arrays.files})
    except Exception as error:  # a damaged archive fails in every way that there is; its images are read anew
        _log.warning("%s is damaged (%s); the images are read again", file, error)
        return {}


def _rows(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, Row]:
    paths, reasons = (arrays[name].tobytes().split(_END) for name in ("paths", "reasons"))
    stamps, digests, pixels = arrays["stamps"].tolist(), arrays["digests"], iter(arrays["pixels"])
    rows = {}
    for path, reason, stamp, digest in zip(paths, reasons, stamps, digests, strict=True):
        size, modified, changed = stamp
        read = None if reason else np.asarray(next(pixels), dtype=np.uint8)
        rows[os.fsdecode(path)] = Row((size, modified, changed), digest.tobytes(), read, reason.decode())
    return rows


def save_rows(file: Path, rows: Mapping[str, Row]) -> None:
    """Write the rows of files that could be opened; whoever reads or writes at the same time sees a whole file.

    A place that cannot be written is a warning: the images are read again the next time.
    """
    beside = file.with_suffix(f".{uuid.uuid4().hex[:8]}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _clear(file)
        with beside.open("wb") as opened:
            np.savez(opened, allow_pickle=False, **_arrays({path: row for path, row in rows.items() if row.digest}))
        beside.replace(file)
    except OSError as error:
        _log.warning("%s cannot be written (%s); the images will be read again", file, error.strerror)
        with suppress(OSError):
            beside.unlink()


def _clear(file: Path) -> None:
    """Delete what writers that were killed have left beside the file."""
    for left in file.parent.glob(f"{file.stem}.*.tmp"):
        if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
            left.unlink(missing_ok=True)


def _arrays(rows: Mapping[str, Row]) -> dict[str, NDArray[np.generic]]:
    pixels = [row.pixels for row in rows.values() if row.pixels is not None]
    return {
        "paths": _bytes(_END.join(map(os.fsencode, rows))),
        "reasons": _bytes(_END.join(row.reason.encode() for row in rows.values())),
        "stamps": np.array([row.stamp for row in rows.values()], dtype=np.int64).reshape(-1, 3),
        "digests": _bytes(b"".join(row.digest for row in rows.values())).reshape(-1, 32),
        "pixels": np.stack(pixels) if pixels else np.empty(0, np.uint8),
    }


def _bytes(raw: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(raw, dtype=np.uint8)
