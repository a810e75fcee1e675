"""A user's own image files: a folder of them, or a list of their paths and labels."""

from dataclasses import replace
from typing import TYPE_CHECKING

from eig_tune.data.file_list import read_file_list
from eig_tune.data.folder import LabelledImages, read_folder
from eig_tune.data.images import ImageData, held_out_apart
from eig_tune.data.sources.base import Request, Source

if TYPE_CHECKING:
    from eig_tune.data.settings import DatasetConfig

_SIZE, _CHANNELS = 64, 3


def _read_folder(request: Request) -> ImageData:
    config = request.config
    size, channels = config.image_size or _SIZE, config.channels or _CHANNELS
    return _as_data(config.name, read_folder(config.path, size, channels, request.cache, request.on_progress))


def _read_list(request: Request) -> ImageData:
    config = request.config
    size, channels = config.image_size or _SIZE, config.channels or _CHANNELS
    return _as_data(config.name, read_file_list(config.path, size, channels, request.cache, request.on_progress))


def _as_data(name: str, found: LabelledImages) -> ImageData:
    return replace(held_out_apart(name, found.images, found.classes), left_out=found.left_out)


def _no_folder(config: "DatasetConfig") -> str | None:
    return None if config.path.is_dir() else f"there is no folder {config.path}; give yours with --root"


def _no_file(config: "DatasetConfig") -> str | None:
    return None if config.path.is_file() else f"there is no file {config.path}; give your list with --root"


FOLDER = Source(
    "folder",
    "your own images: a folder of image files, with a sub-folder per class where there are labels",
    _read_folder,
    _no_folder,
    own=True,
    root="needed",
    root_is="the folder of your images",
    image_size=str(_SIZE),
    channels=str(_CHANNELS),
)
FILE_LIST = Source(
    "file-list",
    "image files named by a list: a CSV or JSON-lines file with `path` and perhaps `label`",
    _read_list,
    _no_file,
    own=True,
    root="needed",
    root_is="your .csv or .jsonl file",
    image_size=str(_SIZE),
    channels=str(_CHANNELS),
)
