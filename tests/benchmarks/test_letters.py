"""Which fonts have letters, and the letters rendered from them, with the fonts that Matplotlib brings."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import ImageFont

from benchmarks.letter_fonts import fonts_with_letters, installed_fonts, letter_glyphs
from benchmarks.letters import letter_images, shares
from eig_tune.errors import DataError

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
_NAMES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralBol", "cmr10")
LEGIBLE = [FONTS / f"{name}.ttf" for name in _NAMES]
SYMBOLS = FONTS / "STIXSizFiveSymReg.ttf"


def given(**changes: object) -> argparse.Namespace:
    return argparse.Namespace(**{"shares": None, "rare": None, **changes})


def test_symbols_and_second_copies_are_no_fonts_with_letters(tmp_path: Path) -> None:
    copy = Path(shutil.copy(LEGIBLE[0], tmp_path / "copy.ttf"))
    assert fonts_with_letters([*LEGIBLE, copy, SYMBOLS]) == LEGIBLE


def test_a_font_without_letters_and_no_font_have_no_glyphs(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert letter_glyphs(SYMBOLS) is None
    assert letter_glyphs(tmp_path / "broken.ttf") is None


@pytest.mark.parametrize("size", [32, 64])
def test_images_are_the_same_with_the_same_seed_and_differ_from_each_other(size: int) -> None:
    fonts = [ImageFont.truetype(str(file), 96) for file in LEGIBLE]

    def drawn() -> list[bytes]:
        images = letter_images("E", fonts, size, 0.5, np.random.default_rng(3))
        made = [next(images) for _ in range(20)]
        assert {image.size for image in made} == {(size, size)}
        return [image.tobytes() for image in made]

    assert drawn() == drawn()
    assert len(set(drawn())) == 20


@pytest.mark.parametrize(("inverted", "lighter"), [(0.0, True), (1.0, False)])
def test_letters_are_lighter_than_the_ground_unless_inverted(inverted: float, lighter: bool) -> None:
    fonts = [ImageFont.truetype(str(LEGIBLE[0]), 96)]
    images = letter_images("I", fonts, 32, inverted, np.random.default_rng(0))
    for image, _ in zip(images, range(10), strict=False):
        grey = np.asarray(image.convert("L")).astype(int)
        assert (grey[12:20, 12:20].max() > grey[0, 0] + 40) == lighter


def test_shares() -> None:
    assert shares(given()) == pytest.approx(np.full(10, 0.1))
    rare = shares(given(rare=0.01))
    assert rare[7] == pytest.approx(0.01)
    assert rare.sum() == pytest.approx(1)
    assert shares(given(shares="2,1,1,1,1,1,1,1,1,10"))[[0, -1]] == pytest.approx([0.1, 0.5])


@pytest.mark.parametrize("wrong", [{"shares": "1,2"}, {"shares": "a,b"}, {"shares": ",".join("0" * 10)}, {"rare": 1.0}])
def test_wrong_shares_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match="got"):
        shares(given(**wrong))


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(DataError, match=r"dpkg-query|apt-get install .*fonts-of-nobody"):
        installed_fonts(["fonts-of-nobody"])


def test_a_folder_with_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.png").touch()
    command = [sys.executable, "-m", "benchmarks.letters", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "is not empty" in done.stderr) == (2, True)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.png"]
