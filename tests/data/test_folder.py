"""Folders of image files: layouts, colours, shapes, and files that cannot be read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eig_tune.data.folder import read_folder
from eig_tune.data.left_out import LeftOut, counted
from eig_tune.data.pixels import read_image
from eig_tune.errors import DataError


def paint(path: Path, colour: tuple[int, int, int] = (200, 100, 50), size: tuple[int, int] = (20, 20)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def test_subfolders_are_classes_in_order_of_name(tmp_path: Path) -> None:
    for name, level in (("dog", 20), ("cat", 10), ("owl", 30)):
        for number in range(3):
            paint(tmp_path / name / f"{number}.png", (level + number,) * 3)
    found = read_folder(tmp_path, 8, 1)
    assert found.classes == ("cat", "dog", "owl")
    assert found.images.shape == (9, 1, 8, 8)
    assert found.images.labels is not None
    assert found.images.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert found.images.pixels[:, 0, 0, 0].tolist() == [10, 11, 12, 20, 21, 22, 30, 31, 32]
    assert found.left_out == ()


def test_loose_images_have_no_labels(tmp_path: Path) -> None:
    for number in range(3):
        paint(tmp_path / f"{number}.png", (number,) * 3)
    found = read_folder(tmp_path, 8, 3)
    assert found.images.labels is None
    assert found.classes == ()
    assert found.images.pixels[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_images_deeper_in_a_class_folder_belong_to_it(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "2024" / "x.png")
    paint(tmp_path / "b" / "y.png")
    found = read_folder(tmp_path, 8, 3)
    assert found.images.labels is not None
    assert found.images.labels.tolist() == [0, 1]


def test_other_files_and_empty_folders_are_no_classes_and_counted(tmp_path: Path) -> None:
    for name in "ab":
        paint(tmp_path / name / "x.PNG")
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "README.md").write_text("nor this")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "labels.csv").touch()
    (tmp_path / "empty").mkdir()
    found = read_folder(tmp_path, 8, 3)
    assert found.classes == ("a", "b")
    assert len(found.images) == 2
    assert counted(found.left_out) == "3 × not an image (.md, .txt, .csv), 2 × folder without an image"
    assert {each.path for each in found.left_out} == {"README.md", "a/notes.txt", "docs/labels.csv", "docs/", "empty/"}


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp", "gif", "jpg"])
def test_usual_formats_are_read(tmp_path: Path, suffix: str) -> None:
    image = read_image(paint(tmp_path / f"x.{suffix}", (128, 128, 128)), 8, 1)
    assert np.abs(image.astype(int) - 128).max() <= 3


def test_colour_is_kept_or_turned_grey_as_asked(tmp_path: Path) -> None:
    path = paint(tmp_path / "x.png", (255, 0, 0))
    colour, grey = read_image(path, 8, 3), read_image(path, 8, 1)
    assert (colour.shape, grey.shape) == ((3, 8, 8), (1, 8, 8))
    assert colour[:, 0, 0].tolist() == [255, 0, 0]
    assert grey[0, 0, 0] == 76  # ITU-R 601: 0.299 · 255


def test_grey_image_fills_three_channels(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 90).save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png", 8, 3)
    assert (image == 90).all()


@pytest.mark.parametrize("mode", ["RGBA", "P", "1", "LA", "CMYK"])
def test_other_modes_are_converted(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (8, 8)).save(tmp_path / ("x.tiff" if mode == "CMYK" else "x.png"))
    image = read_image(next(tmp_path.glob("x.*")), 8, 3)
    assert image.shape == (3, 8, 8)


@pytest.mark.parametrize("wide", [True, False])
def test_oblong_image_is_cropped_to_its_middle_before_resizing(tmp_path: Path, wide: bool) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    Image.fromarray(pixels if wide else pixels.transpose(1, 0, 2)).save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png", 8, 1)
    assert image.shape == (1, 8, 8)
    assert (image == 255).all()


def test_unreadable_files_are_skipped_and_listed(tmp_path: Path) -> None:
    for name in "ab":
        paint(tmp_path / name / "good.png")
    (tmp_path / "a" / "empty.png").touch()
    (tmp_path / "b" / "text.jpg").write_text("not an image")
    whole = paint(tmp_path / "b" / "cut.png", size=(200, 200)).read_bytes()
    (tmp_path / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    found = read_folder(tmp_path, 8, 3)
    assert set(found.left_out) == {
        LeftOut("a/empty.png", "empty"),
        LeftOut("b/text.jpg", "not an image"),
        LeftOut("b/cut.png", "damaged"),
    }
    assert found.images.labels is not None
    assert found.images.labels.tolist() == [0, 1]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*absent"):
        read_folder(tmp_path / "absent", 8, 3)


def test_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        read_folder(paint(tmp_path / "x.png"), 8, 3)


def test_empty_folder_lists_the_formats_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    with pytest.raises(DataError, match=r"no readable image .*not an image \(\.mp4\).*PNG, JPEG"):
        read_folder(tmp_path, 8, 3)


def test_folder_of_broken_images_says_how_many(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    (tmp_path / "y.png").touch()
    with pytest.raises(DataError, match="left out: 2 × empty"):
        read_folder(tmp_path, 8, 3)


def test_single_class_is_refused_with_the_remedy(tmp_path: Path) -> None:
    paint(tmp_path / "only" / "x.png")
    with pytest.raises(DataError, match=r"one class, 'only'.*without labels"):
        read_folder(tmp_path, 8, 3)


def test_loose_images_beside_class_folders_are_refused(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "x.png")
    paint(tmp_path / "b" / "y.png")
    paint(tmp_path / "stray.png")
    with pytest.raises(DataError, match=r"loose images \('stray\.png'"):
        read_folder(tmp_path, 8, 3)


def test_class_without_a_readable_image_is_named(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "x.png")
    paint(tmp_path / "b" / "y.png")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "z.png").touch()
    with pytest.raises(DataError, match="class folder 'c'"):
        read_folder(tmp_path, 8, 3)
