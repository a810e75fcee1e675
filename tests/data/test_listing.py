"""Which files of a folder are images: hidden and system ones, links, odd files, odd names, many files."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eig_tune.data.folder import read_folder
from eig_tune.data.left_out import LeftOut, cell, counted, names_file, printable, write_left_out
from eig_tune.data.listing import list_images
from eig_tune.errors import DataError


def paint(path: Path, level: int = 100, kind: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), level).save(path, kind)
    return path


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """Classes `a` and `b` of one image each."""
    for name in "ab":
        paint(tmp_path / name / "x.png")
    return tmp_path


def reasons(root: Path) -> dict[str, str]:
    return {each.path: each.reason for each in list_images(root).left_out}


def paths(root: Path) -> list[str]:
    return [file.path for file in list_images(root).files]


@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints", "@eaDir", "__MACOSX", "$RECYCLE.BIN", ".git", "lost+found", "#recycle", ".Trash-1000",
        "System Volume Information", ".hidden", "__pycache__", ".@__thumb", "@Recycle",
    ],
)  # fmt: skip
def test_hidden_and_system_folders_are_no_classes(two_classes: Path, name: str) -> None:
    paint(two_classes / name / "x.png")
    paint(two_classes / "a" / name / "x.png")
    found = read_folder(two_classes, 8, 1)
    assert found.classes == ("a", "b")
    assert len(found.images) == 2
    assert counted(found.left_out) == "2 × hidden or of the system"


@pytest.mark.parametrize(
    "name", ["._x.png", ".x.png", "Thumbs.db", ".DS_Store", "desktop.ini", "x.png~", "ehthumbs.db"]
)
def test_hidden_and_system_files_are_left_out(two_classes: Path, name: str) -> None:
    (two_classes / "a" / name).write_bytes(b"\0\5\x16\7 an AppleDouble file, or whatever")
    (two_classes / name).write_bytes(b"\0\5\x16\7")
    found = read_folder(two_classes, 8, 1)
    assert counted(found.left_out) == "2 × hidden or of the system"


def test_folder_that_lies_in_a_hidden_one_is_read(tmp_path: Path) -> None:
    for name in "ab":
        paint(tmp_path / ".cache" / "images" / name / "x.png")
    assert read_folder(tmp_path / ".cache" / "images", 8, 1).classes == ("a", "b")


@pytest.mark.parametrize(
    "name", ["@user", "#tag", "$100", "_b", "-b", "=1", "a[0]", "b.png", "b,c", "b\nc", "🐱", "x" * 200]
)
def test_odd_folder_is_a_class(tmp_path: Path, name: str) -> None:
    paint(tmp_path / "a" / "x.png")
    paint(tmp_path / name / "x.png")
    assert set(read_folder(tmp_path, 8, 1).classes) == {"a", printable(name)}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x.jfif", "JPEG"), ("x.JPEG", "JPEG"), ("x.jpe", "JPEG"), ("x.PnG", "PNG"), ("x.avif", "AVIF"),
     ("x.webp", "WEBP"),
     ("x.jp2", "JPEG2000"), ("x.tga", "TGA"), ("x", "PNG"), ("x.1", "JPEG"), ("x.png", "JPEG"), ("x.mpo", "JPEG"),
     ("x.jpg_large", "JPEG"), ("x.jpg?size=l", "JPEG")],
)  # fmt: skip
def test_image_is_known_by_ending_or_by_content(tmp_path: Path, name: str, kind: str) -> None:
    for folder in "ab":
        paint(tmp_path / folder / name, kind=kind)
    found = read_folder(tmp_path, 8, 1)
    assert (found.classes, len(found.images), found.left_out) == (("a", "b"), 2, ())


@pytest.mark.parametrize("name", ["x.HEIC", "x.svg", "x.dng", "x.CR2"])
def test_class_of_a_format_that_is_not_read_is_refused_by_name(two_classes: Path, name: str) -> None:
    (two_classes / "c").mkdir()
    (two_classes / "c" / name).write_bytes(b"\0\0\0\x18ftypheic")
    ending = Path(name).suffix.lower()
    with pytest.raises(DataError, match=rf"no readable image in class folder 'c'.*1 × in a format .*\({ending}\)"):
        read_folder(two_classes, 8, 1)


def test_several_classes_without_a_readable_image_are_reported_together(two_classes: Path) -> None:
    for number in range(5):
        (two_classes / f"c{number}").mkdir()
        (two_classes / f"c{number}" / "x.heic").touch()
    with pytest.raises(DataError, match=r"5 class folders, 'c0', 'c1', 'c2', … of .*5 × in a format"):
        read_folder(two_classes, 8, 1)


def test_camera_raw_is_not_read_as_its_thumbnail(tmp_path: Path) -> None:
    """A .nef is a TIFF file, whose first frame is a picture for a stamp."""
    paint(tmp_path / "x.nef", kind="TIFF")
    assert reasons(tmp_path) == {"x.nef": "in a format that is not read"}


def test_left_out_files_are_counted_by_reason(two_classes: Path) -> None:
    a = two_classes / "a"
    for name in ("y.txt", "z.csv", "Makefile"):
        (a / name).write_text("text")
    (a / "text.png").write_text("text")
    (a / "empty.png").touch()
    (a / "x.heic").write_bytes(b"....ftypheic")
    (a / "gone.png").symlink_to("nowhere.png")
    (a / "loop.png").symlink_to("loop.png")
    os.mkfifo(a / "pipe.png")
    os.mkfifo(two_classes / "pipe")
    (a / "zero.png").symlink_to("/dev/zero")
    paint(a / "folder.png" / "x.png")
    found = read_folder(two_classes, 8, 1)
    assert len(found.images) == 3
    assert counted(found.left_out) == (
        "4 × not an image (no ending, .txt, .csv, …), 3 × not a regular file, 1 × broken link, 1 × cannot be opened, "
        "1 × in a format that is not read (.heic), 1 × empty"
    )


def test_links_are_followed_and_a_loop_ends(tmp_path: Path) -> None:
    paint(tmp_path / "store" / "x.png")
    root = tmp_path / "root"
    paint(root / "b" / "y.png")
    (root / "a").symlink_to(tmp_path / "store")
    (root / "b" / "up").symlink_to(root)
    (root / "b" / "z.png").symlink_to(tmp_path / "store" / "x.png")
    (tmp_path / "store" / "self").symlink_to(tmp_path / "store")
    assert paths(root) == ["a/x.png", "b/y.png", "b/z.png"]
    assert reasons(root) == dict.fromkeys(("a/self/", "b/up/"), "link to a folder that was read before")


def test_folders_that_link_to_each_other_are_read_once_a_class(tmp_path: Path) -> None:
    """Eight of them have 8! paths."""
    for name in "abcdefgh":
        paint(tmp_path / name / "x.png")
        for other in "abcdefgh":
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    assert len(paths(tmp_path)) == 64


def test_deep_folders_are_listed(tmp_path: Path) -> None:
    """Deeper than Python's recursion limit, which holds for pytest's tidying as well."""
    depths = ["d/" * depth for depth in range(1, 1201)]
    for below in depths:
        (tmp_path / below).mkdir()
    assert reasons(tmp_path) == {depths[-1]: "folder without an image"}
    for below in reversed(depths):
        (tmp_path / below).rmdir()


def test_class_that_may_not_be_read_is_refused(two_classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal of the system is played."""
    (two_classes / "c").mkdir()
    real = os.scandir

    def scandir(path: str) -> "os._ScandirIterator[str]":
        if str(path).endswith("c"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"class folder 'c'.*1 × not permitted to be read"):
        read_folder(two_classes, 8, 1)


def test_order_is_that_of_the_names_at_every_depth(tmp_path: Path) -> None:
    names = ["b.png", "a/2.png", "a/10.png", "a/1/z.png", "c/x.png", "B.png", "é.png"]
    for name in names:
        paint(tmp_path / name)
    assert paths(tmp_path) == sorted(names, key=lambda name: name.split("/"))


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"a"):
        folder = os.fsencode(tmp_path) + b"/" + name
        Path(os.fsdecode(folder)).mkdir()
        paint(Path(os.fsdecode(folder + b"/\xff[x],$\n.png")))
        (Path(os.fsdecode(folder)) / os.fsdecode(b"\xfe.png")).touch()
    found = read_folder(tmp_path, 8, 1, tmp_path / "kept")
    assert found.classes == ("a", "caf\\xe9")
    again = read_folder(tmp_path, 8, 1, tmp_path / "kept")
    np.testing.assert_array_equal(again.images.pixels, found.images.pixels)
    file = names_file(tmp_path / "names", tmp_path)
    write_left_out(found.left_out, file)
    assert file.read_text(encoding="utf-8").splitlines()[1:] == ["a/\\xfe.png,empty", "caf\\xe9/\\xfe.png,empty"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain", "plain"),
        ("two words", "two words"),
        ("a\nb\tc\x1b[31m\u202e", "a\\nb\\tc\\x1b[31m\\u202e"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        ("Ünï 日本 🐱👩\u200d👧", "Ünï 日本 🐱👩\u200d👧"),
    ],
)
def test_name_is_printable_text(name: str, shown: str) -> None:
    assert printable(name) == shown
    printable(name).encode("utf-8")


@pytest.mark.parametrize(
    ("path", "written"), [("=1+1.png", "./=1+1.png"), ("@a", "./@a"), ("-x", "./-x"), ("a/=x", "a/=x"), ("/=x", "/=x")]
)
def test_path_is_no_formula_to_a_spreadsheet(path: str, written: str) -> None:
    assert cell(path) == written


def test_nothing_left_out_counts_as_nothing() -> None:
    assert counted([]) == ""
    assert counted([LeftOut("x", "empty")] * 1234) == "1,234 × empty"


def test_five_thousand_classes_take_linear_time(tmp_path: Path) -> None:
    """Ten times the classes took a hundred times as long."""
    whole = paint(tmp_path / "x.png").read_bytes()
    took = {}
    for classes in (500, 5000):
        root = tmp_path / str(classes)
        for number in range(classes):
            (root / f"{number:04}").mkdir(parents=True)
            for image in "xy":
                (root / f"{number:04}" / f"{image}.png").write_bytes(whole)
        started = time.process_time()
        assert len(read_folder(root, 8, 1).classes) == classes
        took[classes] = time.process_time() - started
    assert took[5000] < 25 * took[500]
