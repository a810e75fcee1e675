"""Letters A to J in colour, rendered from Debian's fonts, as a folder of images with a sub-folder for every class.

    python -m benchmarks.letters --out FOLDER [--size 32] [--per-class 1000] [--rare 0.01 | --shares 0.2,0.1,…]
                                 [--inverted 0] [--seed 0]

Balanced, unless --rare gives H that share and the others unequal fixed ones, or --shares gives all ten. Images are RGB:
a light letter on a darker ground, both of random colours, under a slight random rotation, shift and change of size;
--inverted is the share of images with a dark letter on a lighter ground. The same seed and fonts give the same images.
The fonts are those of the packages in benchmarks/letter_fonts.py; where one is missing, the command that installs them
is printed, and the exit code is 2.

Shape suffixes: S the side of an image.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

from benchmarks.letter_fonts import LETTERS, fitted, fonts_with_letters, glyph, installed_fonts
from eig_tune.errors import DataError

RARE = "H"  # even with 80 images of it to learn from, an evaluation classifier takes it for no other letter (J: for I)
# Sizes of the classes beside a rare one: from the largest to less than a third of it.
OTHERS = (1.0, 0.55, 0.8, 0.35, 0.65, 0.45, 0.9, 0.3, 0.7)
LARGEST_ROTATION = 10.0  # degrees
SIZES = (0.6, 0.8)  # of the letter's longer side, as a share of the image's
LARGEST_SHIFT = 0.06  # as a share of the image's side
LEAST_CONTRAST = 0.35  # between the two colours' luminances, 0..1
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue, ITU-R BT.601
_FINER = 4  # times as large as the image is the letter drawn that is turned and shifted
_DRAWN = 96


def main() -> None:
    """Render the letters and print how many there are of each."""
    arguments = _arguments()
    try:
        counts = np.round(shares(arguments) * arguments.per_class * len(LETTERS)).astype(int)
        if arguments.out.is_dir() and any(arguments.out.iterdir()):
            raise DataError(f"--out: {arguments.out} is not empty; give a new folder")
        files = installed_fonts()
    except DataError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    fonts = [ImageFont.truetype(str(file), _DRAWN) for file in fonts_with_letters(files)]
    print(f"{len(fonts)} of {len(files)} fonts have letters that differ from other fonts' and can be read")
    for number, (letter, count) in enumerate(zip(LETTERS, counts, strict=True)):
        folder = arguments.out / letter
        folder.mkdir(parents=True)
        rng = np.random.Generator(np.random.PCG64([arguments.seed, number]))
        images = letter_images(letter, fonts, arguments.size, arguments.inverted, rng)
        for index, image in zip(range(count), images, strict=False):
            image.save(folder / f"{index:05d}.png")
        print(f"{letter}: {count} images, {count / counts.sum():.1%}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=32, help="side of the images in pixels")
    parser.add_argument("--per-class", type=int, default=1000, help="mean number of images per class")
    unequal = parser.add_mutually_exclusive_group()
    unequal.add_argument("--shares", help="ten numbers with commas between them; their proportions count")
    unequal.add_argument("--rare", type=float, help="share of H; the others are unequal")
    parser.add_argument("--inverted", type=float, default=0.0, help="share of images with a dark letter")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def shares(arguments: argparse.Namespace) -> NDArray[np.float64]:
    """Share of each of the ten classes, as --shares or --rare has it.

    Raises:
        DataError: they are no shares.
    """
    if arguments.rare is not None:
        if not 0 < arguments.rare < 1:
            raise DataError(f"--rare: got {arguments.rare}; give a share between 0 and 1")
        others = np.array(OTHERS) / sum(OTHERS) * (1 - arguments.rare)
        return np.insert(others, LETTERS.index(RARE), arguments.rare)
    if arguments.shares is None:
        return np.full(len(LETTERS), 1 / len(LETTERS))
    try:
        given = np.array(arguments.shares.split(","), dtype=np.float64)
    except ValueError:
        given = np.empty(0)
    if given.shape != (len(LETTERS),) or not (given > 0).all() or not np.isfinite(given).all():
        raise DataError(f"--shares: got {arguments.shares}; give {len(LETTERS)} positive numbers")
    proportions: NDArray[np.float64] = given / given.sum()
    return proportions


def letter_images(
    letter: str, fonts: list[ImageFont.FreeTypeFont], size: int, inverted: float, rng: np.random.Generator
) -> Iterator[Image.Image]:
    """Images of a letter without end, every font as often as any other."""
    while True:
        for index in rng.permutation(len(fonts)):
            drawn = glyph(fonts[index], letter)
            assert drawn is not None, "fonts without letters were left out"
            mask_SS = _nuisance(drawn, size, rng)
            light, dark = random_colours(rng)
            letter_colour, ground = (dark, light) if rng.random() < inverted else (light, dark)
            coloured = ground + mask_SS[..., None] * (letter_colour - ground)
            yield Image.fromarray(np.round(255 * coloured).astype(np.uint8))


def _nuisance(drawn: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The letter turned, shifted and scaled at random: how much of every pixel it covers [S, S], 0..1."""
    fine = _FINER * size
    letter = fitted(drawn, round(fine * rng.uniform(*SIZES)))
    canvas = Image.new("L", (fine, fine))
    shift = rng.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2) * fine
    left, top = (round((fine - letter.width) / 2 + part) for part in shift)
    canvas.paste(letter, (left, top))
    angle = rng.uniform(-LARGEST_ROTATION, LARGEST_ROTATION)
    turned = canvas.rotate(angle, Image.Resampling.BILINEAR)
    return np.asarray(turned.resize((size, size), Image.Resampling.BOX)) / 255


def random_colours(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A light and a dark colour, red, green and blue in 0..1, that differ enough in luminance."""
    while True:
        colours = rng.uniform(size=(2, 3))
        dark, light = colours[np.argsort(colours @ _LUMINANCE)]
        if (light - dark) @ _LUMINANCE >= LEAST_CONTRAST:
            return light, dark


if __name__ == "__main__":
    main()
