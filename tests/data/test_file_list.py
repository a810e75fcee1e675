"""Lists of image files: CSV and JSON lines, with labels or without, and lists that are none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eig_tune.data import DatasetConfig, ImageData, how_to_get, load_images
from eig_tune.data.left_out import LeftOut
from eig_tune.errors import DataError

CSV = "path,label\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight grey images 0.png … 7.png in a folder ``below``, each of its own shade."""
    (tmp_path / "below").mkdir()
    for number in range(8):
        Image.new("L", (8, 8), 10 * number).save(tmp_path / "below" / f"{number}.png")
    return tmp_path


def load(path: Path, cache: Path | None = None) -> ImageData:
    return load_images(DatasetConfig(name="file-list", root=path, image_size=8, channels=1), cache)


def shades(data: ImageData) -> dict[int, int]:
    """Shade of each image, training and held out, to its label."""
    found: dict[int, int] = {}
    for images in (data.training, data.held_out):
        labels = np.full(len(images), -1) if images.labels is None else images.labels
        found |= dict(zip(images.pixels[:, 0, 0, 0].tolist(), labels.tolist(), strict=True))
    return found


LINES = [("below/0.png", "cat"), ("below/1.png", "dog"), ("below/2.png", "cat"), ("below/5.png", "dog")]
EXPECTED = {0: 0, 10: 1, 20: 0, 50: 1}


@pytest.mark.parametrize("cached", [False, True])
def test_csv_names_images_and_classes(folder: Path, cached: bool) -> None:
    path = folder / "list.csv"
    path.write_text("label,path,more\n" + "".join(f"{label},{name},x\n" for name, label in LINES))
    for _ in range(2):
        data = load(path, folder / "kept" if cached else None)
        assert data.classes == ("cat", "dog")
        assert shades(data) == EXPECTED
    assert data.left_out == ()


@pytest.mark.parametrize("key", ["path", "file_name"])
def test_json_lines_name_images_and_classes(folder: Path, key: str) -> None:
    path = folder / "list.jsonl"
    path.write_text("\n".join(json.dumps({key: name, "label": label, "box": [1]}) for name, label in LINES) + "\n\n")
    assert shades(load(path)) == EXPECTED


def test_tabs_byte_order_mark_quotes_and_whole_paths_are_read(folder: Path) -> None:
    path = folder / "list.tsv"
    Image.new("L", (8, 8), 90).save(folder / 'a "b",\t.png')
    lines = [f"{folder / name}\t{label}" for name, label in LINES] + ['"a ""b"",\t.png"\tdog']
    path.write_text("\ufeffpath\tlabel\r\n" + "\r\n".join(lines), encoding="utf-8")
    assert shades(load(path)) == {**EXPECTED, 90: 1}


def test_images_without_labels_have_no_classes(folder: Path) -> None:
    path = folder / "list.csv"
    path.write_text("path\n" + "".join(f"below/{number}.png\n" for number in range(8)))
    data = load(path)
    assert (data.labelled, data.classes, len(data.training)) == (False, (), 7)


def test_numbers_are_labels(folder: Path) -> None:
    path = folder / "list.jsonl"
    path.write_text("".join(json.dumps({"path": f"below/{n}.png", "label": n % 2}) + "\n" for n in range(8)))
    assert load(path).classes == ("0", "1")


def test_files_that_cannot_be_read_are_left_out_by_name(folder: Path) -> None:
    (folder / "below" / "1.png").write_bytes(b"no image")
    (folder / "below" / "2.png").unlink()
    path = folder / "list.csv"
    lines = [f"below/{number}.png,{number // 4}\n" for number in range(8)]
    path.write_text(CSV + "".join(lines) + "below,1\n/dev/zero,1\n")
    data = load(path)
    assert set(data.left_out) == {
        LeftOut("below/1.png", "not an image"),
        LeftOut("below/2.png", "missing"),
        LeftOut("below", "not a regular file"),
        LeftOut("/dev/zero", "not a regular file"),
    }
    assert set(shades(data)) == {0, 30, 40, 50, 60, 70}


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("x.csv", "", "names no image"),
        ("x.csv", CSV, "names no image"),
        ("x.csv", "file,class\na.png,1\n", "line 2 of .* has no `path`"),
        ("x.csv", CSV + "below/0.png,1\n,1\n", "line 3 of .* has no `path`"),
        ("x.csv", CSV + "below/0.png,1\nbelow/1.png,\n", "line 3 of .* has no `label`, and others have"),
        ("x.csv", CSV + "below/0.png,1\nbelow/1.png,1\n", "all labels of .* are '1'"),
        ("x.csv", CSV + "none/0.png,1\nnone/1.png,2\n", r"no readable image in .*left out: 2 × missing"),
        ("x.csv", CSV + "below/0.png,1\nnone/1.png,2\n", "no readable image of class '2'"),
        ("x.csv", CSV + '"' + "a" * 200_000 + '",1\n', "is no list of images"),
        ("x.csv", CSV + "a" * 2**21, "a line has 1,048,576 characters or more"),
        ("x.csv", CSV + "a\0b.png,1\n", "no `path`|no list of images"),
        ("x.jsonl", "[1, 2]\n", "line 1 is no JSON object"),
        ("x.jsonl", '{"path": "a.png"', "is no list of images .*line 1"),
        ("x.jsonl", "[" * 100_000 + "\n", "is no list of images"),
        ("x.jsonl", '{"path": 3}\n', "line 1 of .* has no `path`"),
        ("x.jsonl", '{"path": "below/0.png", "label": [1]}\n', "`label` must be text or a whole number"),
        ("x.jsonl", '{"path": "below/0.png", "label": true}\n', "`label` must be text or a whole number"),
    ],
)
def test_what_is_no_list_is_one_line(folder: Path, name: str, text: str, shown: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=shown) as refused:
        load(folder / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00\x01", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_bytes_that_are_no_text_are_one_line(folder: Path, raw: bytes) -> None:
    (folder / "x.csv").write_bytes(raw)
    with pytest.raises(DataError, match="is no list of images") as refused:
        load(folder / "x.csv")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["absent", "folder"])
def test_absent_list_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "none.csv"
    with pytest.raises(DataError, match="there is no file"):
        load(path)
    shown = how_to_get(DatasetConfig(name="file-list", root=path))
    assert shown is not None and str(path) in shown


def test_list_and_its_folder_have_caches_of_their_own(folder: Path) -> None:
    path: Any = folder / "list.csv"
    path.write_text("path\n" + "".join(f"below/{number}.png\n" for number in range(8)))
    load(path, folder / "kept")
    load_images(DatasetConfig(name="folder", root=folder / "below", image_size=8, channels=1), folder / "kept")
    assert len(list((folder / "kept").glob("*.npz"))) == 2
