"""What is seen of images before a space exists, and which kind they are taken for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from eig_tune.data import ImageData
from eig_tune.data.copies import Copies, find_copies
from eig_tune.data.images import Images, held_out_apart
from eig_tune.data.kinds import FROM_ABOVE, KINDS, OTHER, PHOTOGRAPHS, SIGNS, Guess, guess_kind
from eig_tune.data.look import MOST_LOOKED_AT, Look, look_at_files, look_at_images
from eig_tune.data.settings import AugmentSettings

Draw = Callable[[int], Image.Image]
RNG = np.random.default_rng(0)


def sign(number: int) -> Image.Image:
    """A cross of thin lines in any colour on even ground."""
    ground, ink = ((37 * number) % 100, 40, 90), (230, (91 * number) % 256, 200)
    image = Image.new("RGB", (40, 40), ground)
    pen = ImageDraw.Draw(image)
    pen.line((8, 8 + number % 5, 30, 30), ink, 3)
    pen.line((30, 8, 8, 30 - number % 5), ink, 3)
    return image


def photograph(number: int) -> Image.Image:
    """Colours that change smoothly everywhere."""
    small = np.random.default_rng(number).integers(256, size=(4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((60, 48), Image.Resampling.BICUBIC)


def solid(number: int) -> Image.Image:
    """A grey area on black, as clothes are photographed."""
    image = Image.new("L", (28, 28))
    ImageDraw.Draw(image).rectangle((5, 3 + number % 3, 22, 25), 90 + number % 100)
    return image


def seen(draw: Draw) -> Look:
    pixels = [np.asarray(draw(number).convert("RGB").resize((32, 32))) for number in range(20)]
    return Look([(32, 32)] * 20, np.stack(pixels).transpose(0, 3, 1, 2))


@pytest.mark.parametrize(("draw", "kind"), [(sign, SIGNS), (photograph, PHOTOGRAPHS), (solid, OTHER)])
def test_kind_is_guessed_from_the_pixels_with_a_reason(draw: Draw, kind: str) -> None:
    guess = guess_kind("folder", ("one", "two"), seen(draw))
    assert guess.kind.name == kind and guess.reason


def test_kind_of_classes_that_are_letters_is_signs_whatever_the_pixels_are() -> None:
    assert guess_kind("folder", tuple("ABC"), seen(photograph)).kind.name == SIGNS
    assert guess_kind("folder", tuple("012"), seen(photograph)).kind.name == PHOTOGRAPHS, "numbers may be of anything"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("digits", SIGNS),
        ("emnist-letters", SIGNS),
        ("svhn", SIGNS),
        ("cifar-10", PHOTOGRAPHS),
        ("fashion-mnist", OTHER),
    ],
)
def test_kind_of_a_published_data_set_is_known(source: str, kind: str) -> None:
    guess = guess_kind(source, (), seen(solid))
    assert guess.kind.name == kind and not guess.reason


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_kind_has_a_section_of_a_space(kind: str, channels: int) -> None:
    section = AugmentSettings(**Guess(KINDS[kind]).augment(channels))
    assert section.flip == (kind in (PHOTOGRAPHS, FROM_ABOVE)), "a mirrored sign is another sign"
    assert channels == 3 or section.hue == section.saturation == 0


def test_files_are_looked_at_as_they_lie(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (30 + 10 * number, 50), (number, number, number)).save(tmp_path / f"{number}.png")
    (tmp_path / "damaged.png").write_bytes(b"no image")
    look = look_at_files(sorted(tmp_path.iterdir()))
    assert look is not None
    assert list(look.sizes) == [(30, 50), (40, 50), (50, 50), (60, 50), (70, 50)]
    assert look.side == 50
    assert not look.coloured, "all its colours are greys"
    assert look_at_files([tmp_path / "damaged.png", tmp_path / "none.png"]) is None
    assert look_at_files([]) is None


def test_many_files_are_looked_at_evenly(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "0.png")
    look = look_at_files([tmp_path / "0.png"] * (3 * MOST_LOOKED_AT))
    assert look is not None and len(look.sizes) == MOST_LOOKED_AT


def test_colour_is_what_differs_between_red_green_and_blue() -> None:
    assert seen(photograph).coloured
    assert not seen(lambda number: photograph(number).convert("L")).coloured


def test_images_that_were_read_are_looked_at(digits: ImageData) -> None:
    look = look_at_images(digits.trainable, (8, 8))
    assert look.side == 8 and not look.coloured
    assert look.pixels.shape == (MOST_LOOKED_AT, 3, 32, 32)


def images(pixels: NDArray[np.uint8], labels: list[int] | None) -> ImageData:
    return held_out_apart(
        "folder", Images(pixels, None if labels is None else np.array(labels)), ("a", "b") if labels else ()
    )


def test_copies_are_counted_with_what_is_wrong_about_them() -> None:
    pixels = RNG.integers(256, size=(20, 1, 8, 8), dtype=np.uint8)
    labels = [0] * 10 + [1] * 10
    assert find_copies(images(pixels, labels)) == Copies(0, 0, 0)
    pixels[19] = pixels[0]
    found = find_copies(images(pixels, labels))
    assert (found.all, found.other_label) == (1, 1)
    assert found.held_out in (0, 1)


def test_copies_of_training_images_among_the_held_out_ones_are_told() -> None:
    same = np.zeros((20, 1, 8, 8), np.uint8)
    found = find_copies(images(same, None))
    assert found.all == 19 and found.other_label == 0
    assert found.held_out == 4, "a fifth is held out, and all of it is trained on"
