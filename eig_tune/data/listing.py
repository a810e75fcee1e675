"""Which files below a folder are images, in a fixed order, and which are left out, without decoding any."""

import logging
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eig_tune.data.left_out import (
    BROKEN_LINK,
    CANNOT_BE_OPENED,
    HIDDEN,
    LINKED_TWICE,
    NO_IMAGE,
    NO_IMAGE_BELOW,
    NOT_PERMITTED,
    NOT_REGULAR,
    OTHER_FORMAT,
    LeftOut,
    printable,
)
from eig_tune.data.pixels import endings, is_image

_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 10.0
_SYSTEM = frozenset({
    "__macosx", "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "recycler",
    "system volume information", "lost+found", "lost.dir", "network trash folder", "temporary items", "__pycache__",
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r",
})  # fmt: skip
# Pictures to a person, which Pillow does not read, or of which it would read just the thumbnail.
_OTHER_FORMATS = frozenset({
    ".heic", ".heif", ".hif", ".jxl", ".jxr", ".svg", ".svgz", ".eps", ".exr", ".hdr", ".dcm", ".nii", ".fits", ".fit",
    ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".orf", ".rw2", ".raf", ".pef", ".raw",
    ".xcf", ".kra", ".psb", ".wmf", ".emf", ".djvu",
})  # fmt: skip
# Common company of pictures, not worth opening to see whether they are some.
_NO_IMAGES = frozenset({
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".htm", ".log", ".ini", ".py",
    ".ipynb", ".npy", ".npz", ".pt", ".pth", ".pkl", ".h5", ".hdf5", ".pixels", ".parquet", ".mat", ".db", ".zip",
    ".tar", ".gz", ".tgz", ".7z", ".rar", ".mp4", ".mov", ".avi", ".mkv", ".webm", ".mp3", ".wav", ".pdf", ".doc",
    ".docx", ".xlsx",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file: its path below the folder, and (bytes, modified ns, changed ns), which a new content changes."""

    path: str
    stamp: tuple[int, int, int]


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, in the order of their names, and what was left out."""

    files: Sequence[ImageFile]
    left_out: Sequence[LeftOut]


def list_images(root: Path) -> Listing:
    """List the image files in ``root`` and its sub-folders, through links too; hidden and system ones are left out.

    A file is an image by its ending or, with no known ending, by its first bytes.

    Raises:
        OSError: ``root`` itself cannot be listed.
    """
    files, left_out = list[ImageFile](), list[LeftOut]()
    said = time.monotonic()
    for found in _walk(root):
        if time.monotonic() - said > _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            _log.info("listing %s: %s image files so far", printable(str(root)), f"{len(files):,}")
        skipped = _left_out(root, found.path) if isinstance(found, ImageFile) else found
        if skipped is not None:
            left_out.append(skipped)
        elif isinstance(found, ImageFile):
            files.append(found)
    return Listing(files, left_out)


def _left_out(root: Path, path: str) -> LeftOut | None:
    """Why a file is no image to read, or None if it is one."""
    ending = os.path.splitext(path)[1].lower()  # noqa: PTH122  (ten times as fast, and no name is too odd for it)
    if ending in endings():
        return None
    if ending in _OTHER_FORMATS:
        return LeftOut(path, OTHER_FORMAT)
    return LeftOut(path, NO_IMAGE) if ending in _NO_IMAGES or not is_image(root / path) else None


def _walk(root: Path) -> Iterator[ImageFile | LeftOut]:
    """Every file below ``root`` in the order of the names, and what cannot be one."""
    here, seen = _identity(os.stat(root)), set[tuple[int, int]]()  # noqa: PTH116
    stack = [("", entry) for entry in _entries(root)]
    while stack:
        below, entry = stack.pop()
        path = below + entry.name
        if not below:
            seen = {here}  # two classes may link to one folder; within a class it is read once
        if _hidden(entry.name):
            yield LeftOut(path, HIDDEN)
            continue
        try:
            status = os.stat(entry.path)  # noqa: PTH116
            if not stat.S_ISDIR(status.st_mode):
                yield _file(path, status)
            elif _identity(status) in seen:
                yield LeftOut(path + os.sep, LINKED_TWICE)
            else:
                seen.add(_identity(status))
                inside = _entries(entry.path)
                stack += [(path + os.sep, inner) for inner in inside]
                if not inside:
                    yield LeftOut(path + os.sep, NO_IMAGE_BELOW)
        except FileNotFoundError:
            yield LeftOut(path, BROKEN_LINK)
        except PermissionError:
            yield LeftOut(path + os.sep, NOT_PERMITTED)
        except OSError:
            yield LeftOut(path, CANNOT_BE_OPENED)


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What is in a folder, the first name last, as a stack has it."""
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name, reverse=True)


def _file(path: str, status: os.stat_result) -> ImageFile | LeftOut:
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(path, NOT_REGULAR)
    return ImageFile(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.endswith("~") or name.lower() in _SYSTEM
