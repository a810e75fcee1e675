"""Images given from Python as NumPy arrays or torch tensors."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from eig_tune.data import DatasetConfig, ImbalanceSplit, load_images
from eig_tune.data.arrays import from_arrays
from eig_tune.errors import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(256, size=(40, 16, 16), dtype=np.uint8)
COLOUR = RNG.integers(256, size=(40, 3, 16, 16), dtype=np.uint8)
LABELS = np.arange(40) % 4


def test_floats_from_0_to_1_and_tensors_are_the_same_images_as_bytes() -> None:
    as_bytes = from_arrays(GREY)
    assert as_bytes.pixels.shape == (40, 1, 16, 16)
    others: list[Any] = [GREY / 255, (GREY / 255).astype(np.float32), torch.tensor(GREY), torch.tensor(GREY) / 255]
    for other in others:
        np.testing.assert_array_equal(from_arrays(other).pixels, as_bytes.pixels)


def test_tensor_with_a_gradient_is_taken() -> None:
    tensor = (torch.tensor(COLOUR) / 255).requires_grad_()
    np.testing.assert_array_equal(from_arrays(tensor).pixels, COLOUR)


def test_classes_are_the_labels_that_occur() -> None:
    numbers = from_arrays(GREY, LABELS * 3 + 1)
    assert numbers.classes == ("1", "4", "7", "10")
    assert numbers.labels is not None
    np.testing.assert_array_equal(numbers.labels, LABELS)
    words = from_arrays(GREY, np.array(["bee", "ant"])[LABELS % 2])
    assert words.classes == ("ant", "bee")
    assert words.labels is not None
    np.testing.assert_array_equal(words.labels, 1 - LABELS % 2)
    assert from_arrays(GREY).labels is None


def test_later_changes_of_an_array_change_nothing() -> None:
    mine = GREY.copy()
    taken = from_arrays(mine)
    mine[:] = 0
    np.testing.assert_array_equal(taken.pixels[:, 0], GREY)


@pytest.mark.parametrize(
    ("images", "labels", "shown"),
    [
        (
            GREY.transpose(1, 2, 0)[..., None, None],
            None,
            "images: got shape (16, 16, 40, 1, 1); give [N, S, S], [N, C, S, S] or [N, S, S, C] with C 1 or 3",
        ),
        (COLOUR[:, :, :, :3], None, "images: got shape (40, 3, 16, 3), where channels may be first or last"),
        (GREY[:0], None, "images: got shape (0, 16, 16)"),
        (GREY.astype(np.int64), None, "images: got int64; give uint8 from 0 to 255, or floats from 0 to 1"),
        (GREY.astype(np.float32), None, "images: got floats from 0 to 255"),
        (np.full((2, 16, 16), np.nan), None, "images: got floats from nan to nan"),
        ([[1, 2]], None, "data: got list; give NumPy arrays or torch tensors"),
        (GREY, LABELS[:7], "labels: got shape (7,) for 40 images; give one label an image, [40]"),
        (GREY, LABELS / 2, "labels: got float64; give whole numbers or text"),
        (GREY, LABELS - 1, "labels: got -1; labels count from 0"),
        (GREY, LABELS * 0, "labels: all of them are '0'; give two classes or more"),
    ],
)
def test_what_is_no_image_or_label_is_one_clear_line(images: Any, labels: Any, shown: str) -> None:
    with pytest.raises(DataError) as raised:
        from_arrays(images, labels)
    assert shown in str(raised.value)
    assert "\n" not in str(raised.value)


def test_arrays_become_a_data_set_as_a_folder_does() -> None:
    data = load_images(DatasetConfig(name="arrays"), arrays=from_arrays(GREY, LABELS))
    assert (data.name, data.classes, data.image_size, data.channels) == ("arrays", ("0", "1", "2", "3"), 16, 1)
    assert (len(data.training), len(data.held_out)) == (32, 8)
    again = load_images(DatasetConfig(name="arrays"), arrays=from_arrays(GREY / 255, LABELS))
    assert again.fingerprint() == data.fingerprint()
    other = load_images(DatasetConfig(name="arrays"), arrays=from_arrays(GREY[::-1], LABELS))
    assert other.fingerprint() != data.fingerprint()


def test_imbalance_is_made_of_labelled_arrays_only() -> None:
    config = DatasetConfig(name="arrays", imbalance=ImbalanceSplit(split=1))
    data = load_images(config, arrays=from_arrays(GREY, LABELS))
    assert len(data.training) < len(data.trainable) == 32
    with pytest.raises(DataError, match="no labels"):
        load_images(config, arrays=from_arrays(GREY))
    assert not load_images(DatasetConfig(name="arrays"), arrays=from_arrays(GREY)).labelled


def test_size_and_channels_are_the_arrays_own_unless_the_space_says_others() -> None:
    larger = load_images(DatasetConfig(name="arrays", image_size=24, channels=3), arrays=from_arrays(GREY))
    assert (larger.image_size, larger.channels) == (24, 3)
    colour = load_images(DatasetConfig(name="arrays", channels=3), arrays=from_arrays(COLOUR))
    assert {tuple(image.ravel()) for image in colour.training.pixels} <= {tuple(image.ravel()) for image in COLOUR}


@pytest.mark.parametrize(
    ("config", "images", "shown"),
    [
        (DatasetConfig(name="arrays"), GREY[:, :14, :14], "they are 14 × 14; the side must be a multiple of 4 from 8"),
        (DatasetConfig(name="arrays"), GREY[:, :14, :14], "set dataset.image_size to 16, and they are resized"),
        (DatasetConfig(name="arrays"), GREY[:, :4, :4], "set dataset.image_size to 8, and they are resized"),
        (DatasetConfig(name="arrays"), GREY[:, :12], "they are 12 × 16; crop them to squares"),
    ],
)
def test_arrays_that_networks_cannot_make_are_refused_with_the_remedy(
    config: DatasetConfig, images: Any, shown: str
) -> None:
    with pytest.raises(DataError) as raised:
        load_images(config, arrays=from_arrays(images))
    assert shown in str(raised.value)


def test_channels_may_come_last_and_colour_be_made_grey() -> None:
    last = from_arrays(COLOUR.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(last.pixels, COLOUR)
    grey = load_images(DatasetConfig(name="arrays", channels=1), arrays=last)
    own = [np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L")).tobytes() for image in COLOUR]
    assert {image.tobytes() for image in grey.training.pixels} <= set(own)


def test_side_that_is_no_multiple_of_4_is_resized_when_the_space_says_to_what() -> None:
    data = load_images(DatasetConfig(name="arrays", image_size=16), arrays=from_arrays(GREY[:, :14, :14]))
    assert data.image_size == 16
    with pytest.raises(ValidationError):
        DatasetConfig(name="arrays", image_size=14)


def test_space_file_that_names_arrays_says_where_they_come_from() -> None:
    with pytest.raises(DataError, match=r"given from Python: eig_tune\.search"):
        load_images(DatasetConfig(name="arrays"))
