"""One picture file as a viewer shows it, whatever its format.

Upright (EXIF orientation), its first frame, in the colours of its profile. Grey values of more than 8 bits (integers
of 16 or 32 bits, floats) are scaled from the lowest and highest value of the file to 0…255; NaN counts as the lowest.
What is transparent lies over white, or over black where the picture could hardly be seen on white.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin, UnidentifiedImageError

from eig_tune.data.left_out import BROKEN_LINK, CANNOT_BE_OPENED, NO_IMAGE, NOT_PERMITTED, NOT_REGULAR

# Decoders that need no other program (EPS would start Ghostscript) and no handler that somebody has to install.
FORMATS = (
    "PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "PPM", "JPEG2000", "TGA", "PCX", "SGI", "SUN",
    "QOI", "ICO", "ICNS", "PSD", "DDS", "MSP", "XBM", "XPM",
)  # fmt: skip
MOST_PIXELS = 89_478_485  # Pillow's own limit, above which it warns of a decompression bomb
READER = 1  # raise it when the same file gives other pixels than before
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_WHITE, _BLACK = 255, 0
_SMALLEST_CONTRAST = 16
_BLOCK = 2**20  # values that are scaled at once, so that a large picture needs no second copy in 64 bits
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Unreadable(Exception):  # noqa: N818  (it is no error of a person: the file is left out, and counted)
    """A file that gives no picture; says why in words that fit behind "3 ×"."""


def read_image(path: Path, image_size: int, channels: int) -> NDArray[np.uint8]:
    """One picture as [C, S, S], centre-cropped to a square and resized.

    Raises:
        Unreadable: it cannot be opened, is no picture, is damaged, or has more than ``MOST_PIXELS`` pixels.
    """
    with open_regular(path) as file:
        return decode(file, image_size, channels)


def decode(file: IO[bytes], image_size: int, channels: int) -> NDArray[np.uint8]:
    """The picture in an open file, as :func:`read_image` gives it."""
    try:
        with Image.open(file, formats=formats()) as image:
            image.draft(None, (2 * image_size, 2 * image_size))  # a JPEG is decoded at 1/2, 1/4 or 1/8
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            shown = _shown(image, image_size)
    except Unreadable:
        raise
    except UnidentifiedImageError as error:
        raise Unreadable(NO_IMAGE) from error
    except Image.DecompressionBombError as error:
        raise Unreadable(f"more than {MOST_PIXELS / 1e6:.0f} megapixels") from error
    except Exception as error:  # decoders meet bytes that anybody wrote, and fail in every way that there is
        raise Unreadable("damaged") from error
    pixels = np.asarray(shown.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    return pixels.reshape(image_size, image_size, channels).transpose(2, 0, 1)


def is_image(path: Path) -> bool:
    """Whether a file begins as a picture does, whatever it is called."""
    try:
        # TGA has no magic number: any file may be one.
        with open_regular(path) as file, Image.open(file, formats=[name for name in formats() if name != "TGA"]):
            return True
    except Image.DecompressionBombError:
        return True
    except Exception:  # as in decode()
        return False


@lru_cache
def formats() -> tuple[str, ...]:
    """Names of the formats that are read: those of ``FORMATS`` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@lru_cache
def endings() -> frozenset[str]:
    """Endings of files in these formats, with their dots, in lower case."""
    known = {**Image.registered_extensions(), ".mpo": "JPEG"}
    return frozenset(ending for ending, name in known.items() if name in formats())


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Open a file that is not empty, and wait for no pipe or device.

    Raises:
        Unreadable: it is gone, empty, not a regular file, or may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise Unreadable(_why_closed(error)) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
        os.close(descriptor)
        raise Unreadable("empty" if stat.S_ISREG(found.st_mode) else NOT_REGULAR)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _why_closed(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return BROKEN_LINK
    return NOT_PERMITTED if isinstance(error, PermissionError) else CANNOT_BE_OPENED


def _shown(image: Image.Image, size: int) -> Image.Image:
    """The upright middle square of ``size`` × ``size``, in a mode that converts to L and RGB."""
    profile = image.info.get("icc_profile")
    direct = _direct(image)
    side = min(direct.size)
    left, top = (direct.width - side) // 2, (direct.height - side) // 2
    square = direct.crop((left, top, left + side, top + side))
    square = square.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    turn = _TURNS.get(_orientation(image))
    return _over_ground(_in_srgb(square if turn is None else square.transpose(turn), profile))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # EXIF is bytes that anybody wrote; a picture is shown without it
        return 1


def _direct(image: Image.Image) -> Image.Image:
    """The image with 8-bit values of its own: no palette, no single bits, no deeper values."""
    if image.mode in _DEEP:
        return _scaled(image)
    if image.mode == "La":
        return image.convert("LA")
    if "transparency" in image.info or image.mode in ("PA", "RGBa"):
        return image.convert("RGBA")
    if image.mode in ("P", "1"):
        return image.convert("RGB" if image.mode == "P" else "L")
    image.load()
    return image


def _scaled(image: Image.Image) -> Image.Image:
    """Integers of 16 or 32 bits, or floats, from the file's own lowest and highest value to 0…255."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if image.mode == "I" and tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0] == 1 and _bits(tags) == 32:
        values = values.view(np.uint32)  # Pillow has no unsigned mode
    clear = image.info.get("transparency")
    alpha = None if not isinstance(clear, int) else Image.fromarray(np.uint8(255) * (values != clear))
    shades = _to_bytes(values, 1.0 if image.mode == "F" else 65535.0)
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:  # zero is white
        shades = 255 - shades
    grey = Image.fromarray(shades)
    return grey if alpha is None else Image.merge("LA", (grey, alpha))


def _bits(tags: Any) -> int:
    return int(tags.get(TiffImagePlugin.BITSPERSAMPLE, (0,))[0])


def _to_bytes(values: NDArray[Any], top: float) -> NDArray[np.uint8]:
    """Scale to 0…255; values that are all the same are scaled from 0…``top`` instead."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size == 0:
        raise Unreadable("no finite value")
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        low, high = 0.0, top
    flat, shades = values.reshape(-1), np.empty(values.size, np.uint8)
    for start in range(0, flat.size, _BLOCK):
        block = np.nan_to_num(flat[start : start + _BLOCK].astype(np.float64), nan=low, posinf=high, neginf=low)
        shades[start : start + _BLOCK] = np.clip((block - low) * (255 / (high - low)), 0, 255).round()
    return shades.reshape(values.shape)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image in the colours that its profile means; without one, or with a damaged one, its plain colours."""
    if image.mode == "LAB":
        return _transformed(image, None)
    if profile and image.mode in ("L", "RGB", "RGBA", "CMYK"):
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            return _transformed(image, profile)
    return image


def _transformed(image: Image.Image, profile: bytes | None) -> Image.Image:
    result = ImageCms.applyTransform(image, _transform(profile, image.mode))
    assert result is not None, "only an image that is changed in place gives none"
    return result


@lru_cache(maxsize=16)  # to make one takes 14 ms, to use it on a small image 0.1 ms
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform:
    """From the colours of a profile (LAB's own, if None) to sRGB."""
    source = ImageCms.createProfile("LAB") if profile is None else ImageCms.ImageCmsProfile(BytesIO(profile))
    to_mode = "RGBA" if mode == "RGBA" else "RGB"
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, to_mode)


def _over_ground(image: Image.Image) -> Image.Image:
    """The image without transparency: over white, or over black where it could hardly be seen on white."""
    if image.mode not in ("LA", "RGBA"):
        return image
    image = image.convert("RGBA")
    on_white = _flattened(image, _WHITE)
    if _contrast(image.getchannel("A")) < _SMALLEST_CONTRAST or _contrast(on_white) >= _SMALLEST_CONTRAST:
        return on_white
    return _flattened(image, _BLACK)


def _flattened(image: Image.Image, ground: int) -> Image.Image:
    below = Image.new("RGBA", image.size, (ground, ground, ground, 255))
    return Image.alpha_composite(below, image).convert("RGB")


def _contrast(image: Image.Image) -> int:
    values = np.asarray(image).astype(np.int64)
    return int(np.ptp(values.reshape(image.width * image.height, -1), axis=0).max())
