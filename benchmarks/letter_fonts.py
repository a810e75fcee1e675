"""Which fonts the letters of ``benchmarks.letters`` are rendered from: files of Debian's packages that hold letters.

Shape suffixes: F fonts, L letters, S the side of an image.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from eig_tune.errors import DataError

LETTERS = "ABCDEFGHIJ"
_NAMES = """
    adf-accanthis adf-baskervald adf-berenis adf-gillius adf-ikarius adf-irianis adf-libris adf-mekanus adf-oldania
    adf-romande adf-solothurn adf-switzera adf-tribun adf-universalis adf-verana aenigma allerta anonymous-pro
    arapey averia-gwf averia-sans-gwf averia-serif-gwf b612 bebas-neue beteckna blankenburg breip cabin cabinsketch
    cantarell cardo century-catalogue clear-sans cmu comfortaa comic-neue compagnon courier-prime crosextra-caladea
    crosextra-carlito dancingscript dejavu-core dejavu-extra dejima-mincho dkg-handwriting dosis dustin ebgaramond
    ecolier-court elstob engadget essays1743 eurofurence evertype-conakry fantasque-sans fanwood femkeklaver
    firacode freefont-otf georgewilliams gfs-artemisia gfs-didot gfs-neohellenic gnutypewriter gotico-antiqua
    goudybookletter hack havana hermit humor-sans inconsolata inter isabella jetbrains-mono johnsmith-induni
    joscelyn junction junicode jura karla karmilla kaushanscript klaudia-berenika kristi lato le-murmure
    league-spartan leckerli-one levien-museum levien-typoscript liberation lindenhill linuxlibertine lobster
    lobstertwo manrope millimetre monofur mononoki national-park noto-mono ocr-a ocr-b okolaks oldstandard open-sans
    opendin opendyslexic oxygen paratype play prociono quattrocento quicksand radisnoir roadgeek roboto-slab
    roboto-unhinted rufscript sil-andika sil-charis sil-doulos sil-gentiumplus sixtyfour sjfonts solide-mirage sora
    staypuft stix summersby texgyre tomsontalks train tuffy ubuntu-title urw-base35 vollkorn yanone-kaffeesatz
"""
PACKAGES = tuple(f"fonts-{name}" for name in _NAMES.split())
_FORMATS = (".ttf", ".otf")
_NO_CHARACTER = "\uffff"  # no font has it: what is drawn for it is the glyph of everything that a font lacks
_DRAWN, _COMPARED = 96, 24  # sides: of a letter as it is drawn, and of the images that are compared
_OWN_LETTERS = 8  # of a font's ten glyphs that have to be more like their own letter than like any other


def installed_fonts(packages: Sequence[str] = PACKAGES) -> list[Path]:
    """The font files of Debian packages, each once, in a fixed order.

    Raises:
        DataError: one of the packages is not installed.
    """
    if shutil.which("dpkg-query") is None:
        raise DataError("the fonts are those of Debian's packages, and there is no dpkg-query; use Debian or Ubuntu")
    asked = ["dpkg-query", "--show", "--showformat", "${binary:Package} ${db:Status-Status}\n", *packages]
    shown = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    installed = {name for name, status in map(str.split, shown.splitlines()) if status == "installed"}
    missing = [name for name in packages if name not in installed]
    if missing:
        raise DataError("install the fonts: apt-get install --no-install-recommends " + " ".join(missing))
    listed = subprocess.run(["dpkg-query", "--listfiles", *packages], capture_output=True, text=True, check=True).stdout
    files = {Path(line).resolve() for line in listed.splitlines() if line.lower().endswith(_FORMATS)}
    return sorted(file for file in files if file.is_file())


def fonts_with_letters(files: Sequence[Path]) -> list[Path]:
    """The fonts whose letters are letters, those that look the same only once.

    A font is left out that cannot be read, that lacks a letter, two of whose letters look the same, or most of whose
    glyphs are more like another letter's median over all fonts than like that of their own: symbols, and letters
    that nobody would know.
    """
    looks = {file: glyphs for file in files if (glyphs := letter_glyphs(file)) is not None}
    unlike = {glyphs.tobytes(): file for file, glyphs in reversed(looks.items())}
    different = [file for file in looks if unlike[looks[file].tobytes()] == file]
    readable_F = like_letters(np.stack([looks[file] for file in different]))
    return [file for file, readable in zip(different, readable_F, strict=True) if readable]


def like_letters(glyphs_FLSS: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether most glyphs of each font [F] are more like their own letter's median than like any other letter's."""
    vectors_FLD = glyphs_FLSS.reshape(*glyphs_FLSS.shape[:2], -1).astype(np.float64)
    kept_F = np.ones(len(vectors_FLD), dtype=np.bool_)
    for _ in range(2):  # the second time without what is no letter in the medians
        medians_LD = _normalised(np.median(vectors_FLD[kept_F], axis=0))
        alike_FLL = _normalised(vectors_FLD) @ medians_LD.T
        own_FL = alike_FLL.argmax(axis=-1) == np.arange(vectors_FLD.shape[1])
        kept_F = own_FL.sum(axis=-1) >= _OWN_LETTERS
    return kept_F


def _normalised(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = vectors - vectors.mean(axis=-1, keepdims=True)
    norms: NDArray[np.float64] = np.linalg.norm(centred, axis=-1, keepdims=True)
    normalised: NDArray[np.float64] = centred / np.maximum(norms, 1e-9)
    return normalised


def letter_glyphs(file: Path) -> NDArray[np.uint8] | None:
    """The letters of a font, each scaled to fill a square [L, S, S]; None if it lacks one, or two are the same."""
    try:
        font = ImageFont.truetype(str(file), _DRAWN)
        lacking = glyph(font, _NO_CHARACTER)
        drawn = [glyph(font, letter) for letter in LETTERS]
    except (OSError, ValueError):  # FreeType reads it not, or not at any size
        return None
    if any(image is None for image in drawn):
        return None
    squares = [np.asarray(fitted(image, _COMPARED)) for image in drawn if image is not None]
    lacking_bytes = b"" if lacking is None else np.asarray(fitted(lacking, _COMPARED)).tobytes()
    if len({square.tobytes() for square in squares} - {lacking_bytes}) < len(LETTERS):
        return None
    return np.stack(squares)


def glyph(font: ImageFont.FreeTypeFont, character: str) -> Image.Image | None:
    """A character as a grey image, white on black, cropped to what is drawn; None if nothing is."""
    left, top, right, bottom = (round(edge) for edge in font.getbbox(character))
    if right - left < 2 or bottom - top < 2 or max(right - left, bottom - top) > 16 * _DRAWN:
        return None
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=font)
    box = image.getbbox()
    return None if box is None else image.crop(box)


def fitted(image: Image.Image, side: int) -> Image.Image:
    """The image in the middle of a black square, scaled so that its longer side fills it."""
    share = side / max(image.size)
    width, height = (max(1, round(share * edge)) for edge in image.size)
    square = Image.new("L", (side, side))
    square.paste(image.resize((width, height), Image.Resampling.BOX), ((side - width) // 2, (side - height) // 2))
    return square
