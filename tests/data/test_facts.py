"""What was read, as a person reads it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eig_tune.data import DatasetConfig, ImageData, ImbalanceFile, ImbalanceSplit, how_to_get, load_images
from eig_tune.data.facts import ClassFacts, facts_of, in_words
from eig_tune.errors import DataError


def paint(root: Path, counts: dict[str, int]) -> Path:
    """So many images, no two alike, in each folder below ``root``."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(256, size=(8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def test_digits_are_counted(digits: ImageData) -> None:
    facts = facts_of(digits)
    assert (facts.name, facts.image_size, facts.channels) == ("digits", 16, 1)
    assert facts.trainable + facts.held_out == 1797
    assert [one.name for one in facts.classes] == list("0123456789")
    assert sum(one.training for one in facts.classes) == facts.training == len(digits.training)
    assert sum(one.held_out for one in facts.classes) == facts.held_out
    assert digits.training.labels is not None
    assert facts.classes[3].training == (digits.training.labels == 3).sum()


def test_folder_is_reported_with_its_classes_and_nothing_is_left_out_unasked(tmp_path: Path) -> None:
    paint(tmp_path, {"cat": 20, "[dog]": 10})
    config = DatasetConfig(name="folder", root=tmp_path, image_size=8)
    assert config.imbalance == "none"
    assert in_words(facts_of(load_images(config)), config.imbalance) == [
        "data: folder, 30 images, 8 × 8 RGB: 24 for training, 6 held out",
        "2 classes, training + held out: [dog] 8+2, cat 16+4",
    ]


def test_images_that_an_imbalance_leaves_out_are_counted(tmp_path: Path) -> None:
    paint(tmp_path, {"a": 20, "b": 20})
    np.save(tmp_path / "table.npy", np.array([[1.0, 0.5]]))
    imbalance = ImbalanceFile(file=tmp_path / "table.npy")
    config = DatasetConfig(name="folder", root=tmp_path, image_size=8, channels=1, imbalance=imbalance)
    data, classes = in_words(facts_of(load_images(config)), imbalance)
    assert data == (
        "data: folder, 40 images, 8 × 8 grey: 24 for training "
        f"(8 left out by imbalance {{file: {tmp_path / 'table.npy'}, row: 0}}), 8 held out"
    )
    assert classes == "2 classes, training + held out: a 16+4, b 8+4"


def test_split_is_reported_too(digits: ImageData) -> None:
    data, classes = in_words(facts_of(digits), ImbalanceSplit(split=0))
    left_out = len(digits.trainable) - len(digits.training)
    assert f"({left_out} left out by imbalance {{split: 0}})" in data
    assert classes.startswith("10 classes, training + held out: 0 ")


def test_images_without_labels_have_no_classes(unlabelled_digits: ImageData) -> None:
    assert in_words(facts_of(unlabelled_digits), "none") == [
        "data: folder, 160 images, 16 × 16 grey: 100 for training, 60 held out",
        "no labels: the images lie in no class folders",
    ]


def test_hundreds_of_classes_are_one_short_line(digits: ImageData) -> None:
    facts = facts_of(digits)
    many = tuple(ClassFacts(f"class {number}", number + 3, 1) for number in range(500))
    shown = in_words(replace(facts, classes=many), "none")[1]
    assert shown == ("500 classes with 3 (class 0) to 502 (class 499) training images, half of them with 253 or more")


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ({"train/cat": 3, "train/dog": 3, "test/cat": 2, "test/dog": 2}, "'test', 'train', which are parts"),
        ({"Train/cat": 3, "Train/dog": 3, "Val/cat": 2, "Val/dog": 2}, "give {root}/Train"),
        ({"train": 3, "test": 3}, "give {root}/train"),
        ({"images/cat": 3, "images/dog": 3}, "'images', which is a part"),
        ({"images": 3, "annotations": 3}, "give {root}/images"),
        ({"pets/cat": 3, "pets/dog": 3}, "'cat', 'dog'; if those are the classes, give {root}/pets"),
    ],
)
def test_folder_above_the_class_folders_is_refused_with_the_one_to_give(
    tmp_path: Path, counts: dict[str, int], shown: str
) -> None:
    paint(tmp_path, counts)
    with pytest.raises(DataError) as caught:
        load_images(DatasetConfig(name="folder", root=tmp_path, image_size=8))
    assert shown.replace("{root}", str(tmp_path)) in str(caught.value)


@pytest.mark.parametrize(
    "counts", [{"train": 3, "car": 3}, {"cat/2020": 3, "dog/2020": 3}, {"cat/2020": 3, "cat/2021": 3, "dog": 3}]
)
def test_classes_may_be_called_train_and_have_folders_of_their_own(tmp_path: Path, counts: dict[str, int]) -> None:
    paint(tmp_path, counts)
    data = load_images(DatasetConfig(name="folder", root=tmp_path, image_size=8))
    assert set(data.classes) == {name.split("/")[0] for name in counts}


def test_absent_data_is_reported_without_a_download(tmp_path: Path) -> None:
    assert how_to_get(DatasetConfig(name="digits")) is None
    shown = how_to_get(DatasetConfig(name="mnist", root=tmp_path))
    assert shown is not None and str(tmp_path) in shown and "--root" in shown
    shown = how_to_get(DatasetConfig(name="folder", root=tmp_path / "none"))
    assert shown is not None and str(tmp_path / "none") in shown
    assert how_to_get(DatasetConfig(name="folder", root=tmp_path)) is None
    assert not list(tmp_path.iterdir())
