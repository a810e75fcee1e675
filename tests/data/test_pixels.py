"""What a viewer shows of a picture file is what a trial sees."""

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from eig_tune.data.pixels import MOST_PIXELS, Unreadable, read_image

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged files
Pixels = NDArray[np.uint8]
RAMP = np.linspace(0, 1, 16)[None].repeat(16, axis=0)


def grey(path: Path) -> Pixels:
    pixels: Pixels = read_image(path, 16, 1)[0]
    return pixels


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def glyph_alpha() -> Pixels:
    """A bar that is opaque in the middle of a transparent square."""
    alpha = np.zeros((16, 16), np.uint8)
    alpha[4:12, 6:10] = 255
    return alpha


@pytest.mark.parametrize(("low", "high"), [(0, 65535), (0, 4095), (1000, 1010)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_scaled_by_the_range_of_the_file(tmp_path: Path, low: int, high: int, suffix: str) -> None:
    values = np.round(low + RAMP * (high - low)).astype(np.uint16)
    seen = grey(saved(Image.fromarray(values), tmp_path / f"x.{suffix}"))
    np.testing.assert_allclose(seen, (values - low) / (high - low) * 255, atol=1)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 7.0), (0.0, 1e-6), (-3e38, 3e38)])
def test_floats_are_scaled_by_the_range_of_the_file(tmp_path: Path, low: float, high: float) -> None:
    values = (low + RAMP * (high - low)).astype(np.float32)
    np.testing.assert_allclose(grey(saved(Image.fromarray(values), tmp_path / "x.tif")), RAMP * 255, atol=1)


@pytest.mark.parametrize(("low", "high"), [(-(2**31), 2**31 - 1), (-5, 5), (10**9, 10**9 + 10)])
def test_32_bit_integers_are_scaled_by_the_range_of_the_file(tmp_path: Path, low: int, high: int) -> None:
    values = np.round(low + RAMP * (high - low)).astype(np.int32)
    expected = (values.astype(float) - low) / (high - low) * 255
    np.testing.assert_allclose(grey(saved(Image.fromarray(values), tmp_path / "x.tif")), expected, atol=1)


def with_tag(path: Path, tag: int, value: int) -> Path:
    """Write another value into a one-number tag of a little-endian TIFF."""
    raw = path.read_bytes()
    entry = raw.index(struct.pack("<HHI", tag, 3, 1))
    path.write_bytes(raw[: entry + 8] + struct.pack("<I", value) + raw[entry + 12 :])
    return path


def test_unsigned_32_bit_integers_do_not_wrap_round(tmp_path: Path) -> None:
    values = np.round(RAMP * (2**32 - 1)).astype(np.uint32)
    path = saved(Image.fromarray(values.view(np.int32)), tmp_path / "x.tif")
    np.testing.assert_allclose(grey(with_tag(path, TiffImagePlugin.SAMPLEFORMAT, 1)), RAMP * 255, atol=1)


def test_deep_tiff_whose_zero_is_white_is_turned_round(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.round(RAMP * 65535).astype(np.uint16)), tmp_path / "x.tif")
    white_is_zero = with_tag(path, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0)
    np.testing.assert_allclose(grey(white_is_zero), 255 - RAMP * 255, atol=1)


def test_pgm_of_16_bits_is_scaled(tmp_path: Path) -> None:
    values = np.round(RAMP * 4095).astype(">u2")
    (tmp_path / "x.pgm").write_bytes(b"P5 16 16 4095\n" + values.tobytes())
    np.testing.assert_allclose(grey(tmp_path / "x.pgm"), RAMP * 255, atol=1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(np.uint16(0), 0), (np.uint16(65535), 255), (np.uint16(32768), 128), (np.float32(0.5), 128), (np.float32(9), 255)],
)
def test_deep_picture_of_one_value_is_scaled_by_its_type(tmp_path: Path, value: np.generic, shown: int) -> None:
    path = saved(Image.fromarray(np.full((16, 16), value)), tmp_path / "x.tif")
    np.testing.assert_array_equal(grey(path), shown)


def test_not_a_number_is_black_and_infinities_are_the_ends(tmp_path: Path) -> None:
    values = np.array([[np.nan, 1, 3], [np.inf, -np.inf, 2], [1, 1, 1]], np.float32).repeat(4, 0).repeat(4, 1)
    seen = read_image(saved(Image.fromarray(values), tmp_path / "x.tif"), 12, 1)[0, ::4, ::4]
    np.testing.assert_array_equal(seen, [[0, 0, 255], [255, 0, 128], [0, 0, 0]])


def test_picture_without_a_number_is_unreadable(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.full((8, 8), np.nan, np.float32)), tmp_path / "x.tif")
    with pytest.raises(Unreadable, match="no finite value"):
        grey(path)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "gif"])
@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (90, 255), (255, 0), (250, 0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_glyph_in_the_alpha_channel_is_seen(tmp_path: Path, suffix: str, ink: int, ground: int, channels: int) -> None:
    """Over white, as viewers have it, unless it could not be seen there."""
    alpha = glyph_alpha()
    image = Image.merge("RGBA", [Image.new("L", (16, 16), ink)] * 3 + [Image.fromarray(alpha)])
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    seen = read_image(saved(image, tmp_path / f"x.{suffix}", **options), 16, channels)
    np.testing.assert_allclose(seen.astype(int), np.where(alpha, ink, ground)[None].repeat(channels, 0), atol=3)


@pytest.mark.parametrize("mode", ["LA", "PA"])
def test_alpha_of_other_modes_is_laid_over_white(tmp_path: Path, mode: str) -> None:
    alpha = Image.fromarray(glyph_alpha())
    if mode == "PA":
        image = Image.new("PA", (16, 16))
        image.putpalette([10, 10, 10] * 256)
        image.putalpha(alpha)
    else:
        image = Image.merge("LA", [Image.new("L", (16, 16), 10), alpha])
    seen = grey(saved(image, tmp_path / "x.tif"))
    np.testing.assert_array_equal(seen, np.where(glyph_alpha(), 10, 255))


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "I;16"])
def test_one_transparent_colour_is_laid_over_white(tmp_path: Path, mode: str) -> None:
    """A PNG may name one colour as transparent (tRNS)."""
    values = glyph_alpha()  # 0 is transparent, 255 is not
    depth = np.uint16 if mode == "I;16" else np.uint8
    image = (
        Image.fromarray((values // 255 * 100).astype(depth))
        if mode != "RGB"
        else Image.fromarray((values // 255 * 100)[..., None].repeat(3, -1))
    )
    if mode == "P":
        image = image.convert("P")
    path = saved(image, tmp_path / "x.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    seen = grey(path)
    assert (seen[values == 0] == (0 if mode == "I;16" else 255)).all()  # the deep one's ink is its highest value
    assert len(set(seen[values > 0].tolist())) == 1
    assert seen[0, 0] != seen[8, 8]


def test_wholly_transparent_picture_is_the_ground(tmp_path: Path) -> None:
    seen = read_image(saved(Image.new("RGBA", (8, 8), (9, 9, 9, 0)), tmp_path / "x.png"), 8, 3)
    assert (seen == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp"])
def test_picture_is_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    """The stored pixels are the upright ones under the inverse of what the tag says."""
    undo = {2: 0, 3: 1 + 2, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    assert undo[3] == Image.Transpose.ROTATE_180
    upright = np.full((24, 16, 3), 30, np.uint8)
    upright[6:10, 2:6] = 220
    image = Image.fromarray(upright)
    stored = image if orientation == 1 else image.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options: dict[str, object] = {"quality": 95} if suffix in ("jpg", "webp") else {}
    path = saved(stored, tmp_path / f"x.{suffix}", exif=exif, **options)
    np.testing.assert_allclose(grey(path).astype(int), upright[4:20, :, 0].astype(int), atol=40)


def test_damaged_exif_is_no_reason_to_refuse_a_picture(tmp_path: Path) -> None:
    path = saved(Image.new("L", (8, 8), 77), tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\xff\xff")
    assert abs(int(grey(path)[0, 0]) - 77) <= 2


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_first_frame_is_read(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (50, 200)]
    options: dict[str, object] = {"lossless": True} if suffix == "webp" else {}
    path = saved(frames[0], tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert abs(int(grey(path)[0, 0]) - 50) <= 2


def test_lab_and_ycbcr_and_cmyk_are_colours(tmp_path: Path) -> None:
    red = Image.new("RGB", (8, 8), (200, 30, 30))
    lab = ImageCms.profileToProfile(
        red, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    for image in (lab, red.convert("YCbCr"), red.convert("CMYK")):
        seen = read_image(saved(image, tmp_path / f"{image.mode}.tif"), 8, 3)
        np.testing.assert_allclose(seen[:, 0, 0].astype(int), (200, 30, 30), atol=6)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    image = Image.fromarray(glyph_alpha()).convert("1")
    np.testing.assert_array_equal(grey(saved(image, tmp_path / "x.png")), glyph_alpha())


def swapped_red_and_green(profile: bytes) -> bytes:
    """An sRGB profile whose red means green, and the other way round."""
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    swapped = bytearray(profile)
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(swapped)


def test_colour_profile_is_applied_and_a_damaged_one_ignored(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    meanings = {b"no profile at all": (200, 100, 50), srgb: (200, 100, 50), swapped_red_and_green(srgb): (100, 200, 50)}
    for profile, colour in meanings.items():
        seen = read_image(saved(image, tmp_path / "x.png", icc_profile=profile), 8, 3)
        np.testing.assert_allclose(seen[:, 0, 0].astype(int), colour, atol=3)
    grey_with_profile = saved(Image.new("L", (8, 8), 90), tmp_path / "grey.png", icc_profile=srgb)
    np.testing.assert_array_equal(grey(grey_with_profile), 90)


@pytest.mark.parametrize(
    "suffix", ["jfif", "JPEG", "avif", "webp", "jp2", "tga", "ppm", "ico", "bmp", "qoi", "psd", ""]
)
def test_formats_that_pillow_reads(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (16, 16), (120, 120, 120))
    path = tmp_path / (f"x.{suffix}" if suffix else "x")
    if suffix == "psd":
        path.write_bytes(
            b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 16, 16, 8, 3) + bytes(12) + b"\0\0" + b"x" * 768
        )
    else:
        image.save(path, format={"": "PNG", "JPEG": "JPEG", "jfif": "JPEG"}.get(suffix))
    assert abs(int(grey(path)[8, 8]) - 120) <= 3


def test_large_jpeg_is_decoded_small(tmp_path: Path) -> None:
    """A ramp of 12 megapixels is the same ramp at 16, whichever way it is decoded."""
    ramp = np.linspace(0, 255, 4000).astype(np.uint8)[None].repeat(3000, 0)
    path = saved(Image.fromarray(ramp), tmp_path / "x.jpg", quality=90)
    expected = Image.fromarray(ramp[:, 500:3500]).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(grey(path).astype(int), np.asarray(expected).astype(int), atol=3)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [30_000, 12_000])
def test_decompression_bomb_is_not_decoded(tmp_path: Path, side: int) -> None:
    assert side**2 > MOST_PIXELS
    (tmp_path / "x.png").write_bytes(png_header(side, side))
    with pytest.raises(Unreadable, match="more than 89 megapixels"):
        grey(tmp_path / "x.png")


def make_empty(path: Path) -> None:
    path.touch()


def make_text(path: Path) -> None:
    path.write_text("not an image")


def make_cut(path: Path) -> None:
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64), dtype=np.uint8)).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue()[:2000])


def make_cut_in_the_header(path: Path) -> None:
    path.write_bytes(png_header(8, 8)[:20])


def make_link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere.png")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_postscript(path: Path) -> None:
    """Pillow would start Ghostscript on it."""
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_empty, "empty"),
        (make_text, "not an image"),
        (make_postscript, "not an image"),
        (make_cut, "damaged"),
        (make_cut_in_the_header, "not an image|damaged"),
        (make_link_to_nothing, "broken link"),
        (make_link_to_itself, "cannot be opened"),
        (Path.mkdir, "not a regular file"),
        (make_pipe, "not a regular file"),
        (make_device, "not a regular file"),
    ],
)
def test_unreadable_file_says_why(tmp_path: Path, make: object, reason: str) -> None:
    make(tmp_path / "x.png")  # type: ignore[operator]
    with pytest.raises(Unreadable, match=reason):
        grey(tmp_path / "x.png")


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "gif", "tif", "webp", "bmp", "jp2", "avif", "psd", "tga", "qoi", "ico"]
)
def test_any_damage_is_a_reason_and_never_another_error(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    buffer = BytesIO()
    image = Image.fromarray(rng.integers(256, size=(32, 32, 3), dtype=np.uint8))
    if suffix == "psd":
        buffer.write(b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 16, 16, 8, 3) + bytes(14) + bytes(768))
    else:
        image.save(buffer, {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(suffix, suffix.upper()))
    for _ in range(60):
        raw = bytearray(buffer.getvalue())
        for place in rng.integers(len(raw) if rng.random() < 0.5 else 60, size=8):
            raw[place] = rng.integers(256)
        (tmp_path / f"x.{suffix}").write_bytes(raw[: rng.integers(len(raw) // 2, len(raw))])
        try:
            assert grey(tmp_path / f"x.{suffix}").shape == (16, 16)
        except Unreadable as error:
            assert str(error)
