"""Reading a folder of image files, with one sub-folder per class where labels exist."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eig_tune.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})


@dataclass(frozen=True)
class FolderImages:
    """Images [N, C, S, S], labels [N] or None, class names, and files that could not be read."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    unreadable: tuple[str, ...]


def read_folder(root: Path, image_size: int, channels: int) -> FolderImages:
    """Read every image below ``root``; sub-folders are classes, images right in ``root`` have no label.

    Raises:
        DataError: the folder is missing, has no readable image, or has just one class.
    """
    if not root.is_dir():
        raise DataError(f"dataset.root: there is no folder {root}; give the folder of your images")
    classes = tuple(sorted(path.name for path in root.iterdir() if path.is_dir() and any(_image_files(path))))
    _check_layout(root, classes)
    files = [(path, label) for label, name in enumerate(classes) for path in _image_files(root / name)]
    files = files or [(path, -1) for path in _image_files(root)]
    images, labels, unreadable = [], [], []
    for path, label in files:
        image = read_image(path, image_size, channels)
        if image is None:
            unreadable.append(str(path.relative_to(root)))
        else:
            images.append(image)
            labels.append(label)
    _check_found(root, classes, labels, unreadable)
    known = np.asarray(labels, dtype=np.int64) if classes else None
    return FolderImages(np.stack(images), known, classes, tuple(unreadable))


def read_image(path: Path, image_size: int, channels: int) -> NDArray[np.uint8] | None:
    """One image as [C, S, S], centre-cropped to a square and resized; None when it cannot be read."""
    try:
        with Image.open(path) as file:
            image = file.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).reshape(image_size, image_size, channels).transpose(2, 0, 1)


def _image_files(folder: Path) -> Iterator[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return iter(sorted(found))


def _check_layout(root: Path, classes: tuple[str, ...]) -> None:
    loose = [path.name for path in root.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES]
    if classes and loose:
        raise DataError(
            f"dataset.root: {root} has class folders ({', '.join(classes[:3])}, …) and loose images "
            f"({loose[0]}, …); move the loose ones into a class folder, or all images into one folder"
        )
    if len(classes) == 1:
        raise DataError(
            f"dataset.root: {root} has one class, {classes[0]!r}; classes are told apart only where there are "
            f"two or more. For images without labels give the folder that holds the images itself"
        )


def _check_found(root: Path, classes: tuple[str, ...], labels: list[int], unreadable: list[str]) -> None:
    if not labels:
        known = " ".join(sorted(SUFFIXES))
        broken = f" ({len(unreadable)} files could not be read)" if unreadable else ""
        raise DataError(f"dataset.root: no readable image in {root}{broken}; known endings: {known}")
    empty = [name for label, name in enumerate(classes) if label not in set(labels)]
    if empty:
        raise DataError(f"dataset.root: class folder {empty[0]!r} in {root} has no readable image")
