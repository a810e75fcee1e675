"""Data sets: training images, all that may be trained on, held-out ones, and what is said when there are none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image
from pydantic import ValidationError

from eig_tune.data import DatasetConfig, ImageData, Images, ImbalanceFile, ImbalanceSplit, load_images
from eig_tune.data.imbalance import class_fractions
from eig_tune.data.left_out import LeftOut
from eig_tune.errors import DataError, EigTuneError

WriteSet = Callable[..., Path]


def rows(images: Images) -> set[bytes]:
    return {image.tobytes() for image in images.pixels}


def paint_folder(root: Path, classes: list[str], each: int) -> Path:
    """``each`` images per class, no two alike; ``classes`` may be [""] for images without labels."""
    rng = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            pixels = rng.integers(256, size=(16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03}.png")
    return root


def test_digits_have_three_sets_of_16_by_16_images(digits: ImageData) -> None:
    assert digits.classes == tuple("0123456789")
    assert (digits.image_size, digits.channels) == (16, 1)
    for images in (digits.training, digits.trainable, digits.held_out):
        assert images.pixels.dtype == np.uint8
        assert images.pixels.shape[1:] == (1, 16, 16)
        assert images.labels is not None
        assert len(images.labels) == len(images)
    assert len(digits.trainable) + len(digits.held_out) == 1797
    assert digits.training.pixels.max() > 200
    assert digits.training.pixels.min() == 0


def test_held_out_images_are_trained_on_by_nobody(digits: ImageData) -> None:
    """No two digits are alike, so equal pixels would mean the same image."""
    assert len(rows(digits.held_out)) == len(digits.held_out)
    assert not rows(digits.held_out) & (rows(digits.training) | rows(digits.trainable))


def test_held_out_images_are_a_fifth_of_every_class(digits: ImageData) -> None:
    assert digits.trainable.labels is not None
    assert digits.held_out.labels is not None
    held, rest = np.bincount(digits.held_out.labels), np.bincount(digits.trainable.labels)
    np.testing.assert_array_equal(held, ((held + rest) * 0.2).astype(int))


def test_held_out_images_are_the_same_for_every_imbalance(digits: ImageData) -> None:
    other = load_images(DatasetConfig(name="digits", imbalance=ImbalanceSplit(split=3)))
    np.testing.assert_array_equal(other.held_out.pixels, digits.held_out.pixels)
    np.testing.assert_array_equal(other.trainable.pixels, digits.trainable.pixels)
    assert other.fingerprint() != digits.fingerprint()


def test_pool_has_the_proportions_of_its_split(digits: ImageData) -> None:
    fractions = class_fractions(ImbalanceSplit(split=0), 10)
    assert digits.class_distribution is not None
    np.testing.assert_allclose(digits.class_distribution, fractions / fractions.sum(), atol=2 / len(digits.training))
    np.testing.assert_allclose(digits.class_distribution.sum(), 1)


def test_labels_still_belong_to_their_images(digits: ImageData) -> None:
    """The mean images of a class in training and held-out images are nearest to each other."""
    assert digits.training.labels is not None
    assert digits.held_out.labels is not None
    means = [
        np.stack([images.pixels[images.labels == label].mean(axis=0).ravel() for label in range(10)])
        for images in (digits.training, digits.held_out)
    ]
    distances = np.linalg.norm(means[0][:, None] - means[1][None], axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), np.arange(10))


def test_without_imbalance_the_pool_is_the_whole_training_set() -> None:
    data = load_images(DatasetConfig(name="digits", imbalance="none"))
    np.testing.assert_array_equal(data.training.pixels, data.trainable.pixels)


def test_imbalance_may_come_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.array([[10] * 9 + [5]]))
    data = load_images(DatasetConfig(name="digits", imbalance=ImbalanceFile(file=tmp_path / "table.npy")))
    assert data.training.labels is not None
    counts = np.bincount(data.training.labels)
    assert set(counts[:9].tolist()) == {counts[0]}
    assert counts[9] == counts[0] // 2


def test_loading_twice_gives_the_same_fingerprint(digits: ImageData) -> None:
    assert load_images(DatasetConfig(name="digits")).fingerprint() == digits.fingerprint()


@pytest.mark.parametrize("part", ["training", "trainable", "held_out"])
def test_fingerprint_sees_one_pixel_and_one_label(few_digits: ImageData, part: str) -> None:
    images: Images = getattr(few_digits, part)
    assert images.labels is not None
    pixels, labels = images.pixels.copy(), images.labels.copy()
    pixels[7, 0, 3, 3] ^= 1
    labels[7] = (labels[7] + 1) % 10
    for changed in (Images(pixels, images.labels), Images(images.pixels, labels)):
        changes: dict[str, Any] = {part: changed}
        changed_data = replace(few_digits, **changes)
        assert changed_data.fingerprint() != few_digits.fingerprint()


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3)])
def test_size_and_channels_are_as_asked(size: int, channels: int) -> None:
    data = load_images(DatasetConfig(name="digits", image_size=size, channels=channels))  # type: ignore[arg-type]
    assert data.training.pixels.shape[1:] == (channels, size, size)
    assert all((data.training.pixels[:, 0] == data.training.pixels[:, channel]).all() for channel in range(channels))


@pytest.mark.parametrize("gz", [False, True])
def test_mnist_is_read_from_torchvision_layout(
    tmp_path: Path, write_idx_set: WriteSet, idx_arrays: tuple[Any, ...], gz: bool
) -> None:
    write_idx_set(tmp_path / "MNIST" / "raw", gz=gz)
    data = load_images(DatasetConfig(name="mnist", root=tmp_path, imbalance="none"))
    np.testing.assert_array_equal(data.training.pixels, idx_arrays[0][:, None])
    np.testing.assert_array_equal(data.held_out.pixels, idx_arrays[2][:, None])
    np.testing.assert_array_equal(data.held_out.labels, idx_arrays[3])


def test_fashion_mnist_has_its_own_folder_and_class_names(tmp_path: Path, write_idx_set: WriteSet) -> None:
    write_idx_set(tmp_path / "FashionMNIST" / "raw")
    data = load_images(DatasetConfig(name="fashion-mnist", root=tmp_path))
    assert data.classes[7] == "Sneaker"
    assert len(data.classes) == 10


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_without_files_and_network_it_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any, folder: str
) -> None:
    def no_network(*arguments: object, **options: object) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(torchvision.datasets, folder, no_network)
    with pytest.raises(DataError) as caught:
        load_images(DatasetConfig(name=name, root=tmp_path))
    message = str(caught.value)
    assert str(tmp_path / folder / "raw") in message
    for file in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
        assert f"{file}-idx" in message


def test_labels_above_the_classes_are_refused(tmp_path: Path, write_idx_set: WriteSet) -> None:
    write_idx_set(tmp_path, train_labels_idx1_ubyte=np.full(40, 10, np.uint8))
    with pytest.raises(DataError, match="labels above 9"):
        load_images(DatasetConfig(name="mnist", root=tmp_path))


def test_class_without_images_cannot_be_made_imbalanced(tmp_path: Path, write_idx_set: WriteSet) -> None:
    """There are no counts with the proportions asked for; one training image per class would be none."""
    write_idx_set(tmp_path, train_labels_idx1_ubyte=np.arange(40, dtype=np.uint8) % 9)
    with pytest.raises(DataError):
        load_images(DatasetConfig(name="mnist", root=tmp_path))


def test_idx_set_without_images_is_refused(tmp_path: Path, write_idx_set: WriteSet) -> None:
    write_idx_set(
        tmp_path,
        train_images_idx3_ubyte=np.zeros((0, 12, 12), np.uint8),
        train_labels_idx1_ubyte=np.zeros(0, np.uint8),
    )
    with pytest.raises(DataError):
        load_images(DatasetConfig(name="mnist", root=tmp_path, imbalance="none"))


def test_idx_images_of_odd_size_become_a_multiple_of_four(tmp_path: Path, write_idx_set: WriteSet) -> None:
    """The networks need it, and ``image_size`` is held to it."""
    sizes = {
        f"{part}_images_idx3_ubyte": np.zeros((count, 30, 30), np.uint8)
        for part, count in (("train", 40), ("t10k", 20))
    }
    write_idx_set(tmp_path, **sizes)
    assert load_images(DatasetConfig(name="mnist", root=tmp_path)).image_size % 4 == 0


def test_labelled_folder_is_split_by_class(tmp_path: Path) -> None:
    paint_folder(tmp_path, ["a", "b", "c"], each=10)
    data = load_images(DatasetConfig(name="folder", root=tmp_path, image_size=16, imbalance="none"))
    assert data.classes == ("a", "b", "c")
    assert (data.labelled, data.channels, data.image_size) == (True, 3, 16)
    assert data.held_out.labels is not None
    assert np.bincount(data.held_out.labels).tolist() == [2, 2, 2]
    assert not rows(data.held_out) & rows(data.training)
    assert len(data.training) == 24


def test_unlabelled_folder_has_images_but_no_classes(tmp_path: Path) -> None:
    paint_folder(tmp_path, [""], each=20)
    data = load_images(DatasetConfig(name="folder", root=tmp_path, image_size=16, channels=1, imbalance="none"))
    assert (data.labelled, data.classes, data.class_distribution) == (False, (), None)
    assert (len(data.training), len(data.held_out), data.channels) == (16, 4, 1)
    assert not rows(data.held_out) & rows(data.training)


def test_folder_lists_the_files_it_could_not_read(tmp_path: Path) -> None:
    paint_folder(tmp_path, ["a", "b"], each=5)
    (tmp_path / "a" / "broken.png").touch()
    data = load_images(DatasetConfig(name="folder", root=tmp_path, image_size=16))
    assert data.left_out == (LeftOut("a/broken.png", "empty"),)


def test_unlabelled_folder_cannot_be_made_imbalanced(tmp_path: Path) -> None:
    paint_folder(tmp_path, [""], each=4)
    with pytest.raises(DataError, match="imbalance: none"):
        load_images(DatasetConfig(name="folder", root=tmp_path, image_size=16, imbalance=ImbalanceSplit(split=0)))


@pytest.mark.parametrize("classes", [["a", "b"], [""]])
def test_single_image_cannot_be_both_trained_on_and_held_out(tmp_path: Path, classes: list[str]) -> None:
    paint_folder(tmp_path, classes, each=1)
    with pytest.raises(DataError, match=r"every class \('a', 'b'\) needs two" if classes[0] else "two images or more"):
        load_images(DatasetConfig(name="folder", root=tmp_path, image_size=16, imbalance="none"))


def test_missing_folder_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(EigTuneError, match="absent"):
        load_images(DatasetConfig(name="folder", root=tmp_path / "absent"))


def test_folder_needs_a_root() -> None:
    with pytest.raises(ValidationError, match="needs `root`"):
        DatasetConfig(name="folder")


@pytest.mark.parametrize("name", ["\udce9", "a\nb"])
def test_root_whose_path_is_no_text_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    """Ray would fail on the command line that has it, after everything is prepared."""
    with pytest.raises(ValidationError, match="no UTF-8 text, which Ray and MLflow need"):
        DatasetConfig(name="folder", root=tmp_path / name)


@pytest.mark.parametrize("size", [0, 4, 18, 300])
def test_image_size_is_a_multiple_of_four_in_range(size: int) -> None:
    with pytest.raises(ValidationError):
        DatasetConfig(name="digits", image_size=size)


@pytest.mark.parametrize("imbalance", [None, "nonee", 3, {"splt": 0}, {"split": 0, "row": 1}])
def test_unknown_form_of_imbalance_is_refused(imbalance: Any) -> None:
    with pytest.raises(ValidationError):
        DatasetConfig(name="digits", imbalance=imbalance)


def test_home_folder_is_spelt_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert DatasetConfig(name="mnist").path == tmp_path / ".cache" / "eig-tune"
    assert DatasetConfig(name="mnist", root=Path("~/images")).path == tmp_path / "images"


def test_download_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"no mnist in .* could not be downloaded .*t10k-labels") as refused:
        load_images(DatasetConfig(name="mnist", root=tmp_path))
    assert "\n" not in str(refused.value)
