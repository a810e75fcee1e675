"""Images in .npy and .npz files: mapped as they are or converted once, and files that are none."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from eig_tune.data import DatasetConfig, ImageData, ImbalanceSplit, how_to_get, load_images
from eig_tune.data.arrays import from_arrays
from eig_tune.data.pixel_file import PixelFile
from eig_tune.errors import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(256, size=(40, 16, 16), dtype=np.uint8)
COLOUR = RNG.integers(256, size=(40, 3, 16, 16), dtype=np.uint8)
LABELS = np.arange(40) % 4


def load(path: Path, cache: Path | None = None, **settings: Any) -> ImageData:
    return load_images(DatasetConfig.model_validate({"name": "array-file", "root": path, **settings}), cache)


def saved(path: Path, array: NDArray[Any]) -> Path:
    np.save(path, array)
    return path


def given(images: NDArray[Any], labels: NDArray[Any] | None = None, **settings: Any) -> ImageData:
    """The same images, given from Python."""
    config = DatasetConfig.model_validate({"name": "arrays", **settings})
    return load_images(config, arrays=from_arrays(images, labels))


@pytest.mark.parametrize("form", [GREY, GREY[:, None], COLOUR, COLOUR.transpose(0, 2, 3, 1).copy()])
def test_bytes_of_the_right_size_are_mapped_and_not_copied(tmp_path: Path, form: NDArray[Any]) -> None:
    path = saved(tmp_path / "images.npy", form)
    data = load(path, tmp_path / "kept")
    assert isinstance(data.training.stored, PixelFile) and data.training.stored.path == path
    assert not (tmp_path / "kept").exists()
    assert data.fingerprint() == given(form).fingerprint()
    assert data.training.shape == data.training.pixels.shape
    assert not data.labelled


@pytest.mark.parametrize(
    ("form", "settings"),
    [
        (GREY / 255, {}),
        ((COLOUR / 255).astype(np.float32), {}),
        (COLOUR.transpose(0, 2, 3, 1) / 255, {"channels": 1}),
        (GREY, {"image_size": 8}),
        (GREY, {"channels": 3}),
        (np.asfortranarray(COLOUR), {}),
    ],
)
def test_others_are_converted_once_into_the_cache(tmp_path: Path, form: NDArray[Any], settings: dict[str, Any]) -> None:
    path, kept = saved(tmp_path / "images.npy", form), tmp_path / "kept"
    data = load(path, kept, **settings)
    (pool,) = kept.iterdir()
    assert isinstance(data.training.stored, PixelFile) and data.training.stored.path == pool
    before = pool.stat().st_mtime_ns
    assert data.fingerprint() == given(form, **settings).fingerprint()
    assert (
        load(path, kept, **settings).fingerprint() == load(path, None, **settings).fingerprint() == data.fingerprint()
    )
    assert [each.stat().st_mtime_ns for each in kept.iterdir()] == [before]


@pytest.mark.parametrize("compressed", [False, True])
def test_archive_has_images_and_labels(tmp_path: Path, compressed: bool) -> None:
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "both.npz", labels=LABELS, images=COLOUR, more=np.zeros(3))
    data = load(tmp_path / "both.npz", tmp_path / "kept")
    assert data.classes == ("0", "1", "2", "3")
    assert data.fingerprint() == given(COLOUR, LABELS).fingerprint()
    save(tmp_path / "one.npz", GREY)
    assert load(tmp_path / "one.npz", tmp_path / "kept").fingerprint() == given(GREY).fingerprint()


def test_labels_lie_in_a_file_of_their_own(tmp_path: Path) -> None:
    words = np.array(["bee", "ant", "fly", "elk"])[LABELS]
    labels = saved(tmp_path / "labels.npy", words)
    data = load(saved(tmp_path / "images.npy", GREY), labels=labels)
    assert data.classes == ("ant", "bee", "elk", "fly")
    assert data.fingerprint() == given(GREY, words).fingerprint()
    made = load(tmp_path / "images.npy", labels=labels, imbalance=ImbalanceSplit(split=1))
    assert made.fingerprint() == given(GREY, words, imbalance=ImbalanceSplit(split=1)).fingerprint()
    assert isinstance(made.training.stored, PixelFile)


def test_what_is_sent_to_another_process_is_no_images(tmp_path: Path) -> None:
    many = np.zeros((5000, 16, 16), np.uint8)
    data = load(saved(tmp_path / "images.npy", many))
    sent = pickle.dumps(data)
    assert len(sent) < 16 * len(many)
    assert pickle.loads(sent).fingerprint() == data.fingerprint()
    whole = data.sent_whole()
    buffers: list[pickle.PickleBuffer] = []
    pickle.dumps(whole, protocol=5, buffer_callback=buffers.append)
    assert sum(buffer.raw().nbytes == many.nbytes for buffer in buffers) == 1, "the pool, once and without a copy"
    assert whole.fingerprint() == data.fingerprint()


def test_file_that_changes_during_a_search_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "images.npy", GREY)
    sent = pickle.dumps(load(path))
    saved(path, GREY[::-1].copy())
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match="was changed since the search began"):
        pickle.loads(sent).training.read(np.arange(2))


def raw_npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def archive(**members: bytes) -> bytes:
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w") as written:
        for name, raw in members.items():
            written.writestr(f"{name}.npy", raw)
    return opened.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    opened = io.BytesIO()
    np.save(opened, array, allow_pickle=True)
    return opened.getvalue()


HUGE = raw_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 32, 32), }")
OBJECTS = npy(np.array([{"a": 1}], dtype=object))


@pytest.mark.parametrize(
    ("name", "raw", "shown"),
    [
        ("x.npy", b"", "is no whole NumPy file of numbers"),
        ("x.npy", npy(GREY)[:-1], "is no whole NumPy file"),
        ("x.npy", npy(GREY)[:50], "is no whole NumPy file"),
        ("x.npy", b"path,label\na.png,1\n", "is no whole NumPy file"),
        ("x.npy", pickle.dumps([1, 2]), "is no whole NumPy file"),
        ("x.npy", archive(images=npy(GREY)), "is no whole NumPy file"),
        ("x.npy", OBJECTS, "is no whole NumPy file"),
        ("x.npy", HUGE, "is no whole NumPy file"),
        ("x.npy", raw_npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }"), "is no whole NumPy"),
        ("x.npy", npy(GREY.astype(np.int64)), "got int64; give uint8 from 0 to 255, or floats from 0 to 1"),
        ("x.npy", npy(np.zeros(40, [("a", "u1")])), r"got shape \(40,\)"),
        ("x.npy", npy(GREY.astype(np.float32)), "got floats from 0 to 255"),
        ("x.npy", npy(GREY[:, :12]), "they are 12 × 16; crop them to squares"),
        ("x.npy", npy(GREY[:, :14, :14]), "set dataset.image_size to 16"),
        ("x.npy", npy(GREY[:0]), "holds no image"),
        ("x.npy", npy(GREY[:1]), "needs two images or more"),
        ("x.npy", npy(GREY[0]), "give .N, S, S., .N, C, S, S. or .N, S, S, C."),
        ("x.npy", npy(np.zeros((40, 3, 16, 3), np.uint8)), "where channels may be first or last"),
        ("x.npy", npy(np.zeros((40, 4, 16, 16), np.uint8)), r"got shape \(40, 4, 16, 16\)"),
        ("x.npz", b"", "is no whole NumPy file"),
        ("x.npz", archive(images=npy(GREY), labels=npy(LABELS))[:-40], "is no whole NumPy file"),
        ("x.npz", archive(images=npy(GREY)[:-9]), "is no whole NumPy file"),
        ("x.npz", archive(images=OBJECTS), "is no whole NumPy file"),
        ("x.npz", archive(images=npy(GREY), labels=OBJECTS), "is no whole NumPy file"),
        ("x.npz", archive(images=HUGE), r"take 1024000.0 GB, and .* left; make room"),
        ("x.npz", archive(a=npy(GREY), b=npy(GREY)), "has the arrays a, b; it needs `images`"),
        ("x.npz", archive(), "has the arrays none"),
        ("x.npz", archive(images=npy(np.asfortranarray(COLOUR))), "Fortran's order"),
        ("x.npz", archive(images=npy(GREY), labels=npy(LABELS[:3])), r"labels: got shape \(3,\) for 40 images"),
        ("x.npz", archive(images=npy(GREY), labels=npy(LABELS / 2)), "labels: got float64"),
        ("x.npz", archive(images=npy(GREY), labels=npy(LABELS * 0)), "labels: all of them are '0'"),
    ],
)  # fmt: skip
def test_what_is_no_image_file_is_one_line(tmp_path: Path, name: str, raw: bytes, shown: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DataError, match=shown) as refused:
        load(tmp_path / name, tmp_path / "kept")
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "kept").glob("*")), "nothing half-made is left"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", "dataset.labels: .* is no whole NumPy file"),
        (OBJECTS, "dataset.labels: .* is no whole NumPy file"),
        (npy(LABELS[:7]), r"labels: got shape \(7,\) for 40 images"),
        (None, "dataset.labels: there is no file"),
    ],
)
def test_wrong_labels_are_one_line(tmp_path: Path, raw: bytes | None, shown: str) -> None:
    if raw is not None:
        (tmp_path / "labels.npy").write_bytes(raw)
    with pytest.raises(DataError, match=shown):
        load(saved(tmp_path / "images.npy", GREY), labels=tmp_path / "labels.npy")


def test_labels_belong_to_arrays_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="`labels` are those of an `array-file`"):
        DatasetConfig(name="digits", labels=tmp_path)
    with pytest.raises(ValidationError, match=r"needs `root`, your \.npy or \.npz file"):
        DatasetConfig(name="array-file")
    np.savez(tmp_path / "x.npz", images=GREY)
    with pytest.raises(DataError, match="has its labels inside"):
        load(tmp_path / "x.npz", labels=tmp_path / "labels.npy")


def test_absent_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        load(tmp_path / "none.npy")
    shown = how_to_get(DatasetConfig(name="array-file", root=tmp_path / "none.npy"))
    assert shown is not None and "none.npy" in shown


def test_cache_that_cannot_be_written_costs_memory_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "kept").touch()
    data = load(saved(tmp_path / "images.npy", GREY), tmp_path / "kept", image_size=8)
    assert isinstance(data.training.stored, np.ndarray)
    assert "cannot be written" in caplog.text


def test_progress_is_reported_while_images_are_converted(tmp_path: Path) -> None:
    shown: list[tuple[int, int]] = []
    path = saved(tmp_path / "images.npy", GREY)
    progress: Callable[[int, int], None] = lambda done, of: shown.append((done, of))  # noqa: E731
    load_images(DatasetConfig(name="array-file", root=path, image_size=8), tmp_path / "kept", progress)
    assert shown == [(40, 40)]
