"""How a trial's samples emerged, as an animation of the pictures that were logged while it trained."""

from collections.abc import Mapping
from io import BytesIO

from PIL import Image, ImageDraw

from eig_tune.evaluation.lettering import font, ink

ANIMATION = "training.gif"
MOST_FRAMES = 40
_FRAME_MILLISECONDS, _LAST_MILLISECONDS = 250, 2500
_LINE = 18  # pixels for the step
_WIDEST = 640


def animation_of(pictures: Mapping[int, bytes]) -> bytes | None:
    """A GIF that shows one picture after the other, each with its step, and the last one longer; then again.

    Args:
        pictures: PNG files by step, all of one size.

    Returns:
        None where there are fewer than two.
    """
    frames = [_frame(png, step) for step, png in sorted(pictures.items())]
    if len(frames) < 2:
        return None
    durations = [*[_FRAME_MILLISECONDS] * (len(frames) - 1), _LAST_MILLISECONDS]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return buffer.getvalue()


def _frame(png: bytes, step: int) -> Image.Image:
    with Image.open(BytesIO(png)) as opened:
        picture = opened.convert("L" if opened.mode == "L" else "RGB")
    if picture.width > _WIDEST:
        size = (_WIDEST, round(picture.height * _WIDEST / picture.width))
        picture = picture.resize(size, Image.Resampling.BOX)
    channels = len(picture.getbands())
    frame = Image.new(picture.mode, (picture.width, picture.height + _LINE), ink(255, channels))
    frame.paste(picture, (0, _LINE))
    ImageDraw.Draw(frame).text((4, _LINE // 2), f"step {step:,}", ink(0, channels), font(12), anchor="lm")
    return frame
