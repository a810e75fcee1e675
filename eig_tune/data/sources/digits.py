"""scikit-learn's digits: 1797 scans of 8 × 8, which need no download."""

import numpy as np

from eig_tune.data.images import ImageData, Images, held_out_apart
from eig_tune.data.resize import resized
from eig_tune.data.sources.base import Request, Source

TEN_DIGITS = tuple("0123456789")
_SIZE = 16


def _read(request: Request) -> ImageData:
    from sklearn.datasets import load_digits

    config, digits = request.config, load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    pixels = resized(pixels, config.image_size or _SIZE, config.channels or 1)
    return held_out_apart(config.name, Images(pixels, digits.target.astype(np.int64)), TEN_DIGITS)


DIGITS = Source(
    "digits",
    "scikit-learn's 1797 handwritten digits, which need no download",
    _read,
    lambda config: None,
    image_size=str(_SIZE),
    channels="1",
)
