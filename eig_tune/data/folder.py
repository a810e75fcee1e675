"""A folder of image files, with one sub-folder per class where labels exist."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eig_tune.data.images import Images
from eig_tune.data.left_out import (
    BROKEN_LINK,
    NO_IMAGE_BELOW,
    NOT_PERMITTED,
    OTHER_FORMAT,
    LeftOut,
    counted,
    named,
    printable,
)
from eig_tune.data.listing import ImageFile, Listing, list_images
from eig_tune.data.pixel_file import PixelFile
from eig_tune.data.pixels import formats
from eig_tune.data.reading import OnProgress, Pictures, read_files, silent
from eig_tune.errors import DataError

# Names of folders that lie above the class folders in published data sets, the one to train on first.
_PARTS = (
    "train", "training", "images", "image", "imgs", "img", "jpegimages", "data", "all", "val", "valid", "validation",
    "dev", "test", "testing", "eval", "annotations", "masks", "labels",
)  # fmt: skip


@dataclass(frozen=True)
class LabelledImages:
    """Images with labels or without, class names that any place can hold, and what was left out."""

    images: Images
    classes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def read_folder(
    root: Path, image_size: int, channels: int, cache: Path | None = None, on_progress: OnProgress = silent
) -> LabelledImages:
    """Read every image below ``root``: all that lies at any depth in a sub-folder of it is of the class named so.

    Images right in ``root`` have no label. Hidden and system files and folders are left out.

    Args:
        cache: folder where what was read is kept; what is known there is not read again.
        on_progress: called with (files read, files to read).

    Raises:
        DataError: the folder is missing, has no readable image, has just one class, a class without a readable
            image, or images beside class folders.
    """
    listing = _listed(root)
    of_class = [_class_of(file.path) for file in listing.files]
    names = sorted({name for name in of_class if name} | _meant(listing.left_out))
    _check_level(root, names, [file.path for file in listing.files])
    _check_layout(root, names, [file.path for file in listing.files if not _class_of(file.path)])
    pictures = read_files(root, listing.files, image_size, channels, cache, on_progress)
    numbers = {name: number for number, name in enumerate(names)}
    images, unread = as_images(listing.files, pictures, [numbers[name] for name in of_class] if names else None)
    left_out = (*listing.left_out, *unread)
    _check_found(root, names, images, left_out)
    return LabelledImages(images, tuple(map(printable, names)), (*left_out, *_without_image(left_out, names)))


def as_images(
    files: Sequence[ImageFile], pictures: Pictures, labels: Sequence[int] | None
) -> tuple[Images, list[LeftOut]]:
    """The pictures that could be read with their labels, and the files that could not."""
    rows = pictures.rows
    unread = [LeftOut(file.path, row.reason) for file, row in zip(files, rows, strict=True) if row.reason]
    places = np.array([row.place for row in rows if row.place is not None], dtype=np.int64)
    known = None
    if labels is not None:
        known = np.array([label for label, row in zip(labels, rows, strict=True) if row.place is not None], np.int64)
    if isinstance(pictures.pool, PixelFile):
        return Images(pictures.pool, known, places), unread
    return Images(pictures.pool[places], known), unread


def _listed(root: Path) -> Listing:
    try:
        return list_images(root)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"dataset.root: there is no folder {root}; give the folder of your images") from error
    except OSError as error:
        raise DataError(f"dataset.root: {root} cannot be read ({error.strerror})") from error


def _class_of(path: str) -> str:
    """The first folder of a path; "" for a file that is in none."""
    first, separator, _ = path.partition(os.sep)
    return first if separator else ""


def _meant(left_out: Sequence[LeftOut]) -> set[str]:
    """Classes to a person: folders that hold images that are out of reach or in another format, or are out of reach."""
    reasons = (OTHER_FORMAT, BROKEN_LINK, NOT_PERMITTED)
    return {_class_of(each.path) for each in left_out if each.reason in reasons} - {""}


def _without_image(left_out: Sequence[LeftOut], classes: Sequence[str]) -> list[LeftOut]:
    known = {each.path for each in left_out if each.reason == NO_IMAGE_BELOW}
    folders = {_class_of(each.path) + os.sep for each in left_out} - {os.sep, *(name + os.sep for name in classes)}
    return [LeftOut(folder, NO_IMAGE_BELOW) for folder in sorted(folders - known)]


def _check_level(root: Path, classes: Sequence[str], files: Sequence[str]) -> None:
    """Refuse a folder that lies above that of the class folders."""
    parts = [name for name in classes if name.lower() in _PARTS]
    if parts and len(parts) == len(classes):
        lower = min(parts, key=lambda name: _PARTS.index(name.lower()))
        what = "are parts of a data set and no classes" if parts[1:] else "is a part of a data set and no class"
        raise DataError(f"dataset.root: {root} holds {named(parts)}, which {what}; give {root / lower}")
    below = {_class_of(file.partition(os.sep)[2]) for file in files}
    if len(classes) == 1 and "" not in below and len(below) > 1:
        raise DataError(
            f"dataset.root: {root} holds the one folder {printable(classes[0])!r}, and that holds "
            f"{named(sorted(below))}; if those are the classes, give {root / classes[0]}"
        )


def _check_layout(root: Path, classes: Sequence[str], loose: Sequence[str]) -> None:
    if classes and loose:
        raise DataError(
            f"dataset.root: {root} has class folders ({named(classes)}) and loose images ({named(loose)}); "
            "move the loose ones into a class folder, or all images into one folder"
        )
    if len(classes) == 1:
        raise DataError(
            f"dataset.root: {root} has one class, {named(classes)}; classes can be separated only where there "
            "are two or more. For images without labels give the folder that holds the images itself"
        )


def _check_found(root: Path, classes: Sequence[str], images: Images, left_out: Sequence[LeftOut]) -> None:
    if not len(images):
        why = f" (left out: {counted(left_out)})" if left_out else ""
        raise DataError(f"dataset.root: no readable image in {root}{why}; {', '.join(formats())} are read")
    read = set() if images.labels is None else set(images.labels.tolist())
    empty = {name for number, name in enumerate(classes) if number not in read}
    if empty:
        why = counted([each for each in left_out if _class_of(each.path) in empty])
        folders = "class folder" if len(empty) == 1 else f"{len(empty)} class folders,"
        raise DataError(
            f"dataset.root: no readable image in {folders} {named(sorted(empty))} of {root} (left out: {why}); "
            f"convert them to PNG or JPEG, or take the folder away"
        )
