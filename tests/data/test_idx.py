"""IDX files: layouts, compression, and files that are not whole."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eig_tune.data.idx import find_idx_folder, read_idx_part
from eig_tune.errors import DataError

Array = NDArray[np.uint8]
WriteSet = Callable[..., Path]
IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"


@pytest.mark.parametrize("gz", [False, True])
def test_reads_what_was_written(
    tmp_path: Path, write_idx_set: WriteSet, idx_arrays: tuple[Array, Array, Array, Array], gz: bool
) -> None:
    write_idx_set(tmp_path, gz=gz)
    for part, images, labels in (("train", *idx_arrays[:2]), ("test", *idx_arrays[2:])):
        read_images, read_labels = read_idx_part(tmp_path, part)
        np.testing.assert_array_equal(read_images, images[:, None])
        np.testing.assert_array_equal(read_labels, labels)
        assert (read_images.dtype, read_labels.dtype) == (np.dtype(np.uint8), np.dtype(np.int64))


@pytest.mark.parametrize("below", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("gz", [False, True])
def test_finds_the_usual_layouts(tmp_path: Path, write_idx_set: WriteSet, below: str, gz: bool) -> None:
    folder = write_idx_set(tmp_path / below, gz=gz)
    assert find_idx_folder(tmp_path, "MNIST") == folder


def test_other_data_set_beside_it_is_not_taken(tmp_path: Path, write_idx_set: WriteSet) -> None:
    write_idx_set(tmp_path / "FashionMNIST" / "raw")
    assert find_idx_folder(tmp_path, "MNIST") is None


def test_incomplete_folder_is_not_found(tmp_path: Path, write_idx_set: WriteSet) -> None:
    write_idx_set(tmp_path)
    (tmp_path / LABELS).unlink()
    assert find_idx_folder(tmp_path, "MNIST") is None
    assert find_idx_folder(tmp_path / "absent", "MNIST") is None


def test_plain_and_gzipped_files_may_be_mixed(tmp_path: Path, write_idx_set: WriteSet) -> None:
    write_idx_set(tmp_path)
    (tmp_path / f"{IMAGES}.gz").write_bytes(gzip.compress((tmp_path / IMAGES).read_bytes()))
    (tmp_path / IMAGES).unlink()
    assert find_idx_folder(tmp_path, "MNIST") == tmp_path
    assert len(read_idx_part(tmp_path, "train")[0]) == 40


@pytest.mark.parametrize("kept", [0, 3, 10, 15, 16, 100, 40 * 144 + 15])
def test_truncated_plain_file_is_named(tmp_path: Path, write_idx_set: WriteSet, kept: int) -> None:
    path = write_idx_set(tmp_path) / IMAGES
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=rf"{IMAGES} is not a whole IDX file"):
        read_idx_part(tmp_path, "train")


@pytest.mark.parametrize("kept", [0, 5, 30, 1000])
def test_truncated_gzip_file_is_named(tmp_path: Path, write_idx_set: WriteSet, kept: int) -> None:
    path = write_idx_set(tmp_path, gz=True) / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=rf"{IMAGES}\.gz is not a whole IDX file"):
        read_idx_part(tmp_path, "train")


@pytest.mark.parametrize(("where", "what"), [(0, "magic"), (12, "block length"), (2000, "content")])
def test_damaged_gzip_file_is_named(tmp_path: Path, write_idx_set: WriteSet, where: int, what: str) -> None:
    path = write_idx_set(tmp_path, gz=True) / f"{IMAGES}.gz"
    raw = bytearray(path.read_bytes())
    raw[where] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(DataError, match=rf"{IMAGES}\.gz is not a whole IDX file"):
        read_idx_part(tmp_path, "train")


def test_longer_file_than_its_header_says_is_refused(tmp_path: Path, write_idx_set: WriteSet) -> None:
    path = write_idx_set(tmp_path) / IMAGES
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="not a whole IDX file"):
        read_idx_part(tmp_path, "train")


@pytest.mark.parametrize("magic", [b"\0\0\x08\x01", b"\0\0\x0d\x03", b"\x08\x03\0\0", b"\x89PNG"])
def test_bad_magic_number_is_named(tmp_path: Path, write_idx_set: WriteSet, magic: bytes) -> None:
    path = write_idx_set(tmp_path) / IMAGES
    path.write_bytes(magic + path.read_bytes()[4:])
    with pytest.raises(DataError, match="wrong magic number"):
        read_idx_part(tmp_path, "train")


def test_labels_in_the_place_of_images_are_refused(tmp_path: Path, write_idx_set: WriteSet) -> None:
    write_idx_set(tmp_path)
    shutil.copy(tmp_path / LABELS, tmp_path / IMAGES)
    with pytest.raises(DataError, match=IMAGES):
        read_idx_part(tmp_path, "train")


def test_unequal_counts_are_reported(tmp_path: Path, write_idx_set: WriteSet) -> None:
    write_idx_set(tmp_path, train_labels_idx1_ubyte=np.zeros(39, np.uint8))
    with pytest.raises(DataError, match="40 train images but 39 labels"):
        read_idx_part(tmp_path, "train")
