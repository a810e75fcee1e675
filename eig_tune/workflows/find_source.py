"""Which data set a person means who names a folder, a file, or a published data set."""

from pathlib import Path

from pydantic import ValidationError

from eig_tune.data import DatasetConfig
from eig_tune.data.sources import SOURCES
from eig_tune.errors import ConfigError, DataError, Problem
from eig_tune.paths import expanded
from eig_tune.schema import problems_of

_FILE_LISTS, _ARRAY_FILES = (".csv", ".tsv", ".jsonl", ".json"), (".npy", ".npz")


def find_source(
    images: str,
    root: Path | None = None,
    labels: Path | None = None,
    image_size: int | None = None,
    channels: int | None = None,
) -> DatasetConfig:
    """The data set that a person means by ``images``: a folder, a list or array file, or the name of a published one.

    Args:
        images: as it was typed.
        root: where a published data set lies.
        labels: the labels of an array file.
        image_size: that is asked for.
        channels: that are asked for.

    Raises:
        DataError: there is none.
        ConfigError: something that is asked for cannot be had of it.
    """
    path = expanded(Path(images), "FOLDER")
    published = [name for name, row in SOURCES.items() if not row.own]
    asked = {"labels": labels, "image_size": image_size, "channels": channels}
    if not images:
        raise DataError("FOLDER: is empty; write the folder of your images")
    if images in published and not path.exists():
        return _config({"name": images, "root": root, **asked})
    suffix = path.suffix.lower()
    file = "file-list" if suffix in _FILE_LISTS else "array-file" if suffix in _ARRAY_FILES else ""
    if not path.is_dir() and not (file and path.is_file()):
        endings = ", ".join((*_FILE_LISTS, *_ARRAY_FILES))
        raise DataError(
            f"FOLDER: there is no {images}; give a folder of images, a list or an array of them ({endings}), or one of "
            f"{', '.join(published)}"
        )
    if root is not None:
        raise DataError(
            "--root: says where a published data set lies; leave it out beside a folder or file of your own"
        )
    return _config({"name": "folder" if path.is_dir() else file, "root": path.absolute(), **asked})


def _config(fields: dict[str, object]) -> DatasetConfig:
    try:
        return DatasetConfig.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        found = [Problem(_option(each.where), each.what) for each in problems_of(error, {})]
        raise ConfigError("eig-tune init", found) from error


def _option(key: str) -> str:
    """What a key of ``dataset`` is called on the command line."""
    return f"--{key.replace('_', '-')}" if key in ("labels", "image_size", "channels") else "FOLDER"
