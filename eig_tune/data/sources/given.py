"""Images that are given from Python, as arrays."""

from eig_tune.data.arrays import fitting_side, layout_of
from eig_tune.data.images import ImageData, Images, held_out_apart
from eig_tune.data.resize import resized
from eig_tune.data.sources.base import Request, Source
from eig_tune.errors import DataError

_GIVEN_FROM_PYTHON = "the images of `arrays` are given from Python: eig_tune.search(space, images, labels)"


def _read(request: Request) -> ImageData:
    config, arrays = request.config, request.arrays
    if arrays is None:
        raise DataError(f"dataset.name: {_GIVEN_FROM_PYTHON}")
    layout = layout_of(arrays.pixels.shape, "images")
    size = fitting_side(config.image_size, layout, "images")
    pixels = resized(arrays.pixels, size, config.channels or layout.channels)
    return held_out_apart(config.name, Images(pixels, arrays.labels), arrays.classes)


ARRAYS = Source(
    "arrays",
    "images given from Python",
    _read,
    lambda config: _GIVEN_FROM_PYTHON,
    own=True,
    image_size="that of the images",
    channels="those of the images",
)
