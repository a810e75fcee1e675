"""Text in pictures of images."""

from functools import cache

from PIL import ImageFont


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so many pixels high."""
    return ImageFont.load_default(size)


def ink(shade: int, channels: int) -> int | tuple[int, int, int]:
    """A shade of grey in a picture of so many channels."""
    return shade if channels == 1 else (shade, shade, shade)
