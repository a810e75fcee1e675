"""Loading a data set by the row of its name, and what to do about one that is not there."""

from pathlib import Path

from eig_tune.data.arrays import ArrayImages
from eig_tune.data.images import ImageData
from eig_tune.data.reading import OnProgress, silent
from eig_tune.data.settings import DatasetConfig
from eig_tune.data.sources import SOURCES, Request


def load_images(
    config: DatasetConfig,
    cache: Path | None = None,
    on_progress: OnProgress = silent,
    arrays: ArrayImages | None = None,
) -> ImageData:
    """Load the data set and make its training images imbalanced.

    Args:
        cache: folder where a user's own images are kept as they were read, so that this is quick the next time, and
            from where they are mapped into memory; without it they are read into memory.
        on_progress: called with (files or images read, how many there are) while these are read.
        arrays: the images of the data set ``arrays``.

    Raises:
        DataError: the data cannot be found, fetched or read, or cannot be made imbalanced as asked.
    """
    data = SOURCES[config.name].read(Request(config, cache, on_progress, arrays))
    return data.with_imbalance(config.imbalance)


def how_to_get(config: DatasetConfig) -> str | None:
    """What to do about a data set that is not on this machine, or None when it is; nothing is read or downloaded."""
    return SOURCES[config.name].absent(config)
