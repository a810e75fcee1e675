"""Published data sets by name: read from small files in their real formats, and what is said of damaged ones."""

import bz2
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from eig_tune.data import DatasetConfig, ImageData, how_to_get, load_images
from eig_tune.data.sources import SOURCES
from eig_tune.errors import DataError

Array = NDArray[np.uint8]
COUNTS = {"train": 40, "test": 20}
FETCHED = [name for name, row in SOURCES.items() if row.root == "fetched"]


def of(part: str, *shape: int) -> Array:
    """Random images of a part of a data set."""
    return np.random.default_rng(len(part)).integers(256, size=(COUNTS[part], *shape), dtype=np.uint8)


def labels_of(part: str, classes: int = 10) -> Array:
    return (np.arange(COUNTS[part]) % classes).astype(np.uint8)


def write_emnist(root: Path, idx_bytes: Callable[[Array], bytes], split: str, first: int, classes: int) -> Path:
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for part in COUNTS:
        (folder / f"emnist-{split}-{part}-images-idx3-ubyte").write_bytes(idx_bytes(of(part, 28, 28)))
        (folder / f"emnist-{split}-{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels_of(part, classes) + first))
    return root


def write_usps(root: Path) -> Path:
    for part, name in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        values = of(part, 256) / 127.5 - 1
        lines = [
            " ".join([str(label + 1), *(f"{index + 1}:{value:.6f}" for index, value in enumerate(row))]) + " \n"
            for label, row in zip(labels_of(part), values, strict=True)
        ]
        (root / name).write_bytes(bz2.compress("".join(lines).encode()))
    return root


def write_svhn(root: Path, **changes: Any) -> Path:
    for part in COUNTS:
        labels = labels_of(part).astype(np.int64)[:, None]
        arrays = {"X": of(part, 3, 32, 32).transpose(2, 3, 1, 0), "y": np.where(labels == 0, 10, labels), **changes}
        savemat(root / f"{part}_32x32.mat", arrays, do_compression=True)
    return root


def write_stl(root: Path) -> Path:
    folder = root / "stl10_binary"
    folder.mkdir()
    for part in COUNTS:
        (folder / f"{part}_X.bin").write_bytes(of(part, 3, 96, 96).transpose(0, 1, 3, 2).tobytes())
        (folder / f"{part}_y.bin").write_bytes((labels_of(part) + 1).tobytes())
    return root


def batches() -> dict[str, tuple[Array, Array]]:
    """CIFAR-10's images [N, 3072] and labels by the names of its batches, eight a training batch."""
    rows, labels = of("train", 3072), labels_of("train")
    found = {f"data_batch_{n + 1}": (rows[8 * n : 8 * n + 8], labels[8 * n : 8 * n + 8]) for n in range(5)}
    return {**found, "test_batch": (of("test", 3072), labels_of("test"))}


def write_cifar_binary(root: Path) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    for name, (rows, labels) in batches().items():
        (folder / f"{name}.bin").write_bytes(np.concatenate([labels[:, None], rows], axis=1).tobytes())
    return root


def python_2_pickle(rows: Array, labels: Array) -> bytes:
    """What cPickle of Python 2 wrote, opcode by opcode, as the files of CIFAR-10 have it."""
    data = rows.tobytes()
    return b"".join(
        [
            b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03",
            b"U\x06labelsq\x04]q\x05(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e",
            b"U\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87R",
            b"(K\x01K" + bytes([len(rows)]) + b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN",
            b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(data)) + data + b"tb",
            b"U\tfilenamesq\x0f]q\x10(U\x08leptodacU\x07camion_eu.",
        ]
    )


def write_cifar_pickled(root: Path) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for name, (rows, labels) in batches().items():
        (folder / name).write_bytes(python_2_pickle(rows, labels))
    return root


def read(name: str, root: Path, **settings: Any) -> ImageData:
    return load_images(DatasetConfig(name=name, root=root, imbalance="none", **settings))


def check(data: ImageData, train: Array, test: Array, classes: int = 10) -> None:
    np.testing.assert_array_equal(data.training.pixels, train)
    np.testing.assert_array_equal(data.held_out.pixels, test)
    np.testing.assert_array_equal(data.training.labels, labels_of("train", classes))
    np.testing.assert_array_equal(data.held_out.labels, labels_of("test", classes))
    assert len(data.classes) >= classes


def test_kmnist_is_read_as_mnist_is(tmp_path: Path, write_idx_set: Callable[..., Path]) -> None:
    write_idx_set(tmp_path / "KMNIST" / "raw", gz=True)
    assert read("kmnist", tmp_path).classes[4] == "na"


@pytest.mark.parametrize(
    ("split", "first", "classes"), [("letters", 1, 26), ("balanced", 0, 47), ("digits", 0, 10), ("byclass", 0, 62)]
)
def test_emnist_stands_upright_and_counts_from_0(
    tmp_path: Path, idx_bytes: Callable[[Array], bytes], split: str, first: int, classes: int
) -> None:
    data = read(f"emnist-{split}", write_emnist(tmp_path, idx_bytes, split, first, classes))
    train, test = (of(part, 28, 28).transpose(0, 2, 1)[:, None] for part in COUNTS)
    check(data, train, test, classes)
    assert len(data.classes) == classes


def test_emnist_names_its_classes() -> None:
    import torchvision.datasets

    known = torchvision.datasets.EMNIST.classes_split_dict
    for split in ("balanced", "bymerge", "byclass", "digits"):
        assert load_classes(f"emnist-{split}") == tuple(known[split])
    assert load_classes("emnist-letters") == tuple(known["letters"][1:])


def load_classes(name: str) -> tuple[str, ...]:
    classes: tuple[str, ...] = SOURCES[name].read.__self__.classes  # type: ignore[attr-defined]  # Published's method
    return classes


@pytest.mark.parametrize("below", ["", "USPS"])
def test_usps_is_read(tmp_path: Path, below: str) -> None:
    (tmp_path / below).mkdir(exist_ok=True)
    write_usps(tmp_path / below)
    data = read("usps", tmp_path)
    assert data.training.pixels.shape == (40, 1, 16, 16)
    for images, part in ((data.training, "train"), (data.held_out, "test")):
        off = images.pixels.astype(int) - of(part, 256).reshape(-1, 1, 16, 16)
        assert np.abs(off).max() <= 1
        np.testing.assert_array_equal(images.labels, labels_of(part))


def test_svhn_is_read_and_its_10_is_the_digit_0(tmp_path: Path) -> None:
    check(read("svhn", write_svhn(tmp_path)), of("train", 3, 32, 32), of("test", 3, 32, 32))


def test_stl_10_is_read_with_its_rows_upright(tmp_path: Path) -> None:
    check(read("stl-10", write_stl(tmp_path)), of("train", 3, 96, 96), of("test", 3, 96, 96))


@pytest.mark.parametrize("write", [write_cifar_binary, write_cifar_pickled])
def test_cifar_10_is_read_from_either_of_its_forms(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    train, test = (of(part, 3072).reshape(-1, 3, 32, 32) for part in COUNTS)
    check(read("cifar-10", write(tmp_path)), train, test)


def test_pickle_of_this_python_is_read_too(tmp_path: Path) -> None:
    write_cifar_pickled(tmp_path)
    rows, labels = batches()["data_batch_1"]
    folder = tmp_path / "cifar-10-batches-py"
    document = {"data": rows.tobytes(), "labels": labels.tolist(), "batch_label": b"training batch 1 of 5"}
    (folder / "data_batch_1").write_bytes(pickle.dumps(document, protocol=4))
    np.testing.assert_array_equal(read("cifar-10", tmp_path).training.pixels[:8].reshape(8, -1), rows)


def test_pickle_is_never_run(tmp_path: Path) -> None:
    write_cifar_pickled(tmp_path)
    evil = b"cos\nsystem\n(U" + bytes([len(str(tmp_path)) + 9]) + b"touch " + str(tmp_path).encode() + b"/xx\x85R."
    file = tmp_path / "cifar-10-batches-py" / "test_batch"
    file.write_bytes(evil + file.read_bytes())
    with pytest.raises(DataError, match="damaged or another file"):
        read("cifar-10", tmp_path)
    assert not (tmp_path / "xx").exists()


def test_size_and_colour_are_as_asked(tmp_path: Path) -> None:
    data = read("svhn", write_svhn(tmp_path), image_size=16, channels=1)
    assert data.training.pixels.shape == (40, 1, 16, 16)


def test_one_class_can_be_made_rare(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.array([[1.0] * 9 + [0.25]]))
    config = {"name": "svhn", "root": tmp_path, "imbalance": {"file": tmp_path / "table.npy"}}
    data = load_images(DatasetConfig.model_validate(config), write_svhn(tmp_path) and None)
    assert data.training.labels is not None
    assert np.bincount(data.training.labels).tolist() == [4] * 9 + [1]


FILES = {
    "usps": (write_usps, "usps.t.bz2"),
    "svhn": (write_svhn, "test_32x32.mat"),
    "stl-10": (write_stl, "stl10_binary/test_X.bin"),
    "cifar-10": (write_cifar_binary, "cifar-10-batches-bin/test_batch.bin"),
}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "cut": lambda raw: raw[: len(raw) // 2 + 1],
    "text": lambda raw: b"<!DOCTYPE html>\n<title>404</title>\n" * 99,
    "pickle": lambda raw: pickle.dumps({"X": [1, 2, 3]}),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_damaged_file_is_named_on_one_line(tmp_path: Path, name: str, damage: str) -> None:
    write, file = FILES[name]
    write(tmp_path)
    path = tmp_path / file
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(DataError) as refused:
        read(name, tmp_path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value) or f"{path.parent} holds" in str(refused.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_damaged_pickle_is_named_on_one_line(tmp_path: Path, damage: str) -> None:
    write_cifar_pickled(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(DataError, match=r"data_batch_3 is damaged or another file") as refused:
        read("cifar-10", tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"X": np.zeros((32, 32, 3, 7), np.uint8)}, "SVHN's have X"),
        ({"X": np.zeros((32, 32, 40), np.uint8)}, "SVHN's have X"),
        ({"X": np.zeros((32, 32, 3, 40)), "y": np.ones((40, 1))}, "its images are float64"),
        ({"X": np.zeros((32, 32, 3, 20), np.uint8), "y": np.full((20, 1), 11)}, "holds labels above 9"),
        ({"X": np.zeros((32, 32, 3, 20), np.uint8), "y": np.zeros((20, 1))}, "its labels are not 1 to 10"),
    ],
)
def test_other_matlab_file_is_refused(tmp_path: Path, changes: dict[str, Any], shown: str) -> None:
    with pytest.raises(DataError, match=shown):
        read("svhn", write_svhn(tmp_path, **changes))


@pytest.mark.parametrize("line", [b"1 " + b"1:0 " * 5000, b"1 1:7.5 " + b"2:0 " * 255, b"a 1:0", b"1 1:0\n2 1:0 2:0"])
def test_other_text_than_that_of_usps_is_refused(tmp_path: Path, line: bytes) -> None:
    write_usps(tmp_path)
    (tmp_path / "usps.bz2").write_bytes(bz2.compress(line + b"\n"))
    with pytest.raises(DataError, match=r"usps\.bz2 is damaged or another file"):
        read("usps", tmp_path)


def test_header_that_claims_too_much_allocates_nothing(tmp_path: Path, write_idx_set: Callable[..., Path]) -> None:
    folder = write_idx_set(tmp_path)
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31))
    with pytest.raises(DataError, match="which is too much"):
        read("mnist", folder)


def test_file_larger_than_any_of_a_data_set_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write_stl(tmp_path)
    path = tmp_path / "stl10_binary" / "train_X.bin"
    with path.open("r+b") as file:
        file.truncate(2**33)  # sparse
    with pytest.raises(DataError, match="more than 4 GiB"):
        read("stl-10", tmp_path)


@pytest.mark.parametrize("name", FETCHED)
def test_absent_data_is_named_with_its_files_and_nothing_is_fetched(tmp_path: Path, name: str) -> None:
    shown = how_to_get(DatasetConfig(name=name, root=tmp_path / "none"))
    assert shown is not None
    assert shown.startswith(f"no {name} in {tmp_path / 'none'}; `eig-tune search` and `train` download it there")
    assert " files " in shown and "--root" in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FETCHED)
def test_download_that_fails_is_one_line(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(DataError, match=rf"no {name} in .* could not be downloaded .* files ") as refused:
        read(name, tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", FETCHED)
def test_root_that_cannot_be_written_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="could not be downloaded"):
        read(name, tmp_path / "file" / "below")
