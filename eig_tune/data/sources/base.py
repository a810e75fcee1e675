"""What a row of the table of data sets is, and the one way in which published data sets are found, fetched and read.

Shape suffixes: N images, C channels, H and W their height and width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.images import ImageData, Images
from eig_tune.data.resize import nearest_side, resized
from eig_tune.errors import DataError, one_line

if TYPE_CHECKING:
    from eig_tune.data.arrays import ArrayImages
    from eig_tune.data.reading import OnProgress
    from eig_tune.data.settings import DatasetConfig

Part = Literal["train", "test"]
MOST_BYTES = 2**32  # of a file of a published data set, which is read into memory
FETCHED_BY = "`eig-tune search` and `train` download it there"


@dataclass(frozen=True)
class Request:
    """What a reader is asked for.

    Attributes:
        cache: folder where images are kept as they were read, if they are many.
        on_progress: called with (files or images read, how many there are).
        arrays: the images of the data set ``arrays``.
    """

    config: "DatasetConfig"
    cache: Path | None
    on_progress: "OnProgress"
    arrays: "ArrayImages | None"


@dataclass(frozen=True)
class Source:
    """A data set, or a form of a user's own images.

    Attributes:
        name: as ``dataset.name`` has it.
        meaning: for the reference.
        read: the images, before they are made imbalanced.
        absent: what to do where the images are not on this machine, or None if they are; reads and fetches nothing.
        own: whether the images are a user's own, which are left as they are by default.
        root: what ``dataset.root`` is: where a user's images lie, where they may be fetched to, or nothing.
        root_is: what a user gives as ``dataset.root``, in words.
        image_size: the default side, in words.
        channels: the default channels, in words.
    """

    name: str
    meaning: str
    read: Callable[[Request], ImageData]
    absent: Callable[["DatasetConfig"], str | None]
    own: bool = False
    root: Literal["needed", "fetched", "none"] = "none"
    root_is: str = ""
    image_size: str = ""
    channels: str = ""


@dataclass(frozen=True)
class Published:
    """A published data set with a training and a test part; the test part is held out.

    Attributes:
        classes: names of the classes 0, 1, …
        size: side of the images, for the reference.
        files: what has to lie in ``folder``, in words.
        folder: below ``dataset.root``, where a download puts them.
        find: the folder below a root that has all files, or None.
        fetch: downloads the files below a root; fails with OSError or RuntimeError.
        read_part: pixels [N, C, H, W] and labels [N] of a part of the folder that was found.
    """

    name: str
    meaning: str
    classes: tuple[str, ...]
    size: int
    channels: int
    files: str
    folder: str
    find: Callable[[Path], Path | None]
    fetch: Callable[[Path], None]
    read_part: Callable[[Path, Part], tuple[NDArray[np.uint8], NDArray[np.int64]]]

    def source(self) -> Source:
        """Its row of the table."""
        return Source(
            self.name,
            self.meaning,
            self._read,
            self._absent,
            root="fetched",
            image_size=str(nearest_side(self.size)),
            channels=str(self.channels),
        )

    def _absent(self, config: "DatasetConfig") -> str | None:
        if self.find(config.path) is not None:
            return None
        return f"no {self.name} in {config.path}; {FETCHED_BY}, or give a folder that has {self.files} with --root"

    def _read(self, request: Request) -> ImageData:
        config = request.config
        folder = self.find(config.path) or self._fetched(config)
        train, held_out = (self._part(folder, part, config) for part in ("train", "test"))
        return ImageData(self.name, self.classes, training=train, trainable=train, held_out=held_out)

    def _part(self, folder: Path, part: Literal["train", "test"], config: "DatasetConfig") -> Images:
        pixels, labels = self.read_part(folder, part)
        if len(pixels) == 0:
            raise DataError(f"dataset.root: {folder} holds no {part} images")
        if len(pixels) != len(labels):
            raise DataError(f"dataset.root: {folder} holds {len(pixels)} {part} images but {len(labels)} labels")
        if labels.min() < 0 or labels.max() >= len(self.classes):
            end = "above" if labels.max() >= len(self.classes) else "below"
            raise DataError(
                f"dataset.root: {folder} holds labels {end} {len(self.classes) - 1 if end == 'above' else 0} "
                f"(counted from 0); {self.name} has {len(self.classes)} classes"
            )
        size = config.image_size or nearest_side(pixels.shape[-1])
        return Images(resized(pixels, size, config.channels or pixels.shape[1]), labels)

    def _fetched(self, config: "DatasetConfig") -> Path:
        try:
            config.path.mkdir(parents=True, exist_ok=True)
            self.fetch(config.path)
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"dataset.root: no {self.name} in {config.path}, and it could not be downloaded ({one_line(error)}). "
                f"Put {self.files} into {config.path / self.folder}, or give `dataset.root` a folder that has them"
            ) from error
        folder = self.find(config.path)
        if folder is None:
            raise DataError(f"dataset.root: what was downloaded to {config.path} does not have {self.files}")
        return folder


def first_with(candidates: list[Path], names: list[str]) -> Path | None:
    """The first of these folders that has all files of these names."""
    return next((folder for folder in candidates if all((folder / name).is_file() for name in names)), None)


def whole_file(path: Path) -> bytes:
    """The content of a file of a published data set.

    Raises:
        DataError: it cannot be read, or is larger than any.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(
                f"dataset.root: {path} has more than {MOST_BYTES >> 30} GiB; it is no file of this data set"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"dataset.root: {path} cannot be read ({error.strerror})") from error


def not_whole(path: Path, error: object) -> DataError:
    """The error of a file of a published data set that is damaged or something else."""
    return DataError(f"dataset.root: {path} is damaged or another file ({one_line(error)}); fetch it again")
