"""Images of a folder that were read before: the second command reads none, and a changed file is noticed."""

import os
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from eig_tune.data import DatasetConfig, load_images, pixel_file, reading
from eig_tune.data.folder import read_folder
from eig_tune.data.picture_cache import Row, cache_file, load_kept, new_pool, save_kept
from eig_tune.data.pixel_file import PixelFile
from eig_tune.data.pixels import decode
from eig_tune.data.pool import written_pool
from eig_tune.data.reading import in_parallel
from eig_tune.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of three images each, uncompressed, so that all files are of one size; and a broken one."""
    for number, name in enumerate("ab"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for image in range(3):
            Image.new("L", (8, 8), 10 * (3 * number + image)).save(tmp_path / "images" / name / f"{image}.bmp")
    (tmp_path / "images" / "a" / "broken.png").write_text("no image")
    return tmp_path / "images"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files have been decoded since the test began, as the length of a list."""
    calls: list[int] = []

    def counted(file: IO[bytes], image_size: int, channels: int) -> NDArray[np.uint8]:
        calls.append(1)
        return decode(file, image_size, channels)

    monkeypatch.setattr(reading, "decode", counted)
    return calls


def levels(root: Path, cache: Path | None) -> list[int]:
    found = read_folder(root, 8, 1, cache)
    assert [each.path for each in found.left_out] == ["a/broken.png"]
    return [int(level) for level in found.images.pixels[:, 0, 0, 0]]


def test_second_reading_decodes_nothing_and_is_the_same(root: Path, tmp_path: Path, decoded: list[int]) -> None:
    first = levels(root, tmp_path / "kept")
    assert len(decoded) == 7
    assert levels(root, tmp_path / "kept") == first == [0, 10, 20, 30, 40, 50]
    assert len(decoded) == 7


def test_changed_new_and_lost_files_are_noticed(root: Path, tmp_path: Path, decoded: list[int]) -> None:
    levels(root, tmp_path / "kept")
    Image.new("L", (8, 8), 99).save(root / "a" / "1.bmp")
    Image.new("L", (8, 8), 77).save(root / "b" / "9.bmp")
    (root / "b" / "0.bmp").unlink()
    assert levels(root, tmp_path / "kept") == [0, 99, 20, 40, 50, 77]
    assert len(decoded) == 9


def test_change_that_keeps_size_and_time_is_noticed(root: Path, tmp_path: Path) -> None:
    """As archives with one date for all files make them: unpacked over each other, nothing but the content differs."""
    for file in root.rglob("*.bmp"):
        os.utime(file, ns=(0, 0))
    levels(root, tmp_path / "kept")
    size = (root / "a" / "0.bmp").stat().st_size
    Image.new("L", (8, 8), 123).save(root / "a" / "0.bmp")
    os.utime(root / "a" / "0.bmp", ns=(0, 0))
    assert (root / "a" / "0.bmp").stat().st_size == size
    assert levels(root, tmp_path / "kept")[0] == 123


def test_touched_and_renamed_files_are_known_by_their_content(root: Path, tmp_path: Path, decoded: list[int]) -> None:
    levels(root, tmp_path / "kept")
    (root / "a" / "0.bmp").touch()
    (root / "b" / "0.bmp").rename(root / "b" / "7.bmp")
    assert levels(root, tmp_path / "kept") == [0, 10, 20, 40, 50, 30]
    assert len(decoded) == 7


def test_size_and_colours_have_rows_of_their_own(root: Path, tmp_path: Path) -> None:
    for size, channels in ((8, 1), (12, 1), (8, 3)):
        found = read_folder(root, size, channels, tmp_path / "kept")
        assert found.images.shape == (6, channels, size, size)
    assert len(list((tmp_path / "kept").glob("*.npz"))) == len(list((tmp_path / "kept").glob("*.pixels"))) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "pickle", "folder"])
def test_damaged_cache_is_made_anew(root: Path, tmp_path: Path, damage: str, decoded: list[int]) -> None:
    first = levels(root, tmp_path / "kept")
    file = cache_file(tmp_path / "kept", root, 8, 1)
    raw = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage == "pickle":
        np.savez(file, paths=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        middle = len(raw) // 2
        flipped = raw[:middle] + bytes([raw[middle] ^ 255]) + raw[middle + 1 :]
        file.write_bytes({"cut": raw[:middle], "flipped": flipped, "empty": b"", "text": b"x" * 100}[damage])
    assert levels(root, tmp_path / "kept") == first
    assert len(decoded) == 14
    if damage != "folder":
        assert levels(root, tmp_path / "kept") == first
        assert len(decoded) == 14


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_lost_pixels_are_read_again(root: Path, tmp_path: Path, damage: str, decoded: list[int]) -> None:
    first = levels(root, tmp_path / "kept")
    (pool,) = (tmp_path / "kept").glob("*.pixels")
    raw = pool.read_bytes()
    pool.unlink()
    if damage == "cut":
        pool.write_bytes(raw[:-1])
    assert levels(root, tmp_path / "kept") == first
    assert len(decoded) == 14


def test_search_goes_on_with_its_pool_when_the_folder_changes(root: Path, tmp_path: Path) -> None:
    """A trial process of it that starts later maps the same images; a pool that none can use any more is deleted."""
    config = DatasetConfig(name="folder", root=root, image_size=8, channels=1)
    data = pickle.loads(pickle.dumps(load_images(config, tmp_path / "kept")))
    before = data.fingerprint()
    (root / "a" / "0.bmp").unlink()
    assert load_images(config, tmp_path / "kept").fingerprint() != before
    pixel_file._mapped.cache_clear()
    assert data.fingerprint() == before
    pool = data.training.stored
    assert isinstance(pool, pixel_file.PixelFile)
    os.utime(pool.path, ns=(0, pool.modified))
    (root / "b" / "1.bmp").unlink()
    load_images(config, tmp_path / "kept")
    pixel_file._mapped.cache_clear()
    with pytest.raises(DataError, match=r"cannot be mapped into memory \(.*No such file"):
        data.fingerprint()


def test_folder_whose_images_were_all_broken_is_read_when_some_are_not(tmp_path: Path) -> None:
    root, kept = tmp_path / "images", tmp_path / "kept"
    root.mkdir()
    (root / "a.png").write_text("no image")
    with pytest.raises(DataError, match="no readable image"):
        read_folder(root, 8, 1, kept)
    Image.new("L", (8, 8), 77).save(root / "b.png")
    assert read_folder(root, 8, 1, kept).images.pixels[:, 0, 0, 0].tolist() == [77]


def test_place_that_cannot_be_written_is_no_reason_to_stop(root: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file in its place")
    assert len(levels(root, tmp_path / "kept")) == 6


def test_writers_at_once_leave_a_whole_file(tmp_path: Path) -> None:
    rows = {str(n): Row((n, n, n), bytes(31) + bytes([n]), n) for n in range(50)}
    file, pixels = tmp_path / "x.npz", np.arange(50, dtype=np.uint8)[:, None, None, None].repeat(64, 1)

    def write(_: int) -> None:
        with written_pool(new_pool(file), 50, (1, 8, 8)) as pool:
            pool.append(pixels.reshape(-1, 1, 8, 8))
            stored = pool.finish()
        assert isinstance(stored, PixelFile)
        save_kept(file, rows, stored)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(20)))
    loaded = load_kept(file, (1, 8, 8))
    assert loaded.rows == rows
    assert loaded.pool is not None
    np.testing.assert_array_equal(loaded.pool.array()[:, 0, 0, 0], np.arange(50))
    assert {file.suffix for file in tmp_path.iterdir()} == {".npz", ".pixels"}


def test_what_was_read_before_an_interruption_is_kept(
    root: Path, tmp_path: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, of: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(reading, "_AT_ONCE", 2)
    with pytest.raises(KeyboardInterrupt):
        read_folder(root, 8, 1, tmp_path / "kept", interrupt)
    before = len(decoded)
    levels(root, tmp_path / "kept")
    assert len(decoded) - before <= 4


def test_progress_is_reported_of_every_file_that_is_read(root: Path, tmp_path: Path) -> None:
    shown: list[tuple[int, int]] = []
    read_folder(root, 8, 1, tmp_path / "kept", lambda done, of: shown.append((done, of)))
    assert shown == [(done, 7) for done in range(1, 8)]
    read_folder(root, 8, 1, tmp_path / "kept", lambda done, of: shown.append((done, of)))
    assert len(shown) == 7


def test_fingerprint_does_not_depend_on_the_place(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "elsewhere")
    prints = {
        load_images(DatasetConfig(name="folder", root=place, image_size=8, imbalance="none"), cache).fingerprint()
        for place in (root, tmp_path / "elsewhere")
        for cache in (None, tmp_path / "kept", tmp_path / "kept")
    }
    assert len(prints) == 1


def test_what_a_killed_writer_left_is_deleted(root: Path, tmp_path: Path) -> None:
    file = cache_file(tmp_path / "kept", root, 8, 1)
    file.parent.mkdir()
    old, new = (file.with_suffix(f".{name}.tmp") for name in ("old", "new"))
    old.touch()
    os.utime(old, (0, 0))
    new.touch()
    levels(root, tmp_path / "kept")
    assert {left for left in file.parent.iterdir() if left.suffix != ".pixels"} == {file, new}


def test_files_are_read_beside_each_other() -> None:
    """Each of two waits for the other."""
    meeting = threading.Barrier(2, timeout=20)
    assert sorted(in_parallel(lambda _: meeting.wait(), range(2))) == [0, 1]


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(in_parallel(lambda number: number**2, range(300))) == [number**2 for number in range(300)]
