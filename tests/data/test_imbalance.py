"""Imbalance: the proportions of a split, tables of proportions, and the counts that follow from them."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from eig_tune.data.imbalance import ImbalanceFile, ImbalanceSplit, choose, class_fractions, imbalanced_counts
from eig_tune.errors import DataError

# Written down once: a split must mean the same training images on every machine and in every version.
GOLDEN = {
    0: [0.382991, 0.554576, 0.479887, 0.809005, 0.61973, 0.849902, 0.732309, 0.711269, 0.246686, 1.0],
    1: [0.305224, 0.667045, 0.805538, 0.982186, 1.0, 0.5601, 0.31247, 0.504997, 0.798199, 0.443668],
    2: [1.0, 0.737874, 0.815637, 0.42229, 0.26512, 0.567572, 0.277462, 0.885943, 0.652576, 0.527808],
}


@pytest.mark.parametrize("split", GOLDEN)
def test_split_has_the_proportions_written_down(split: int) -> None:
    fractions = class_fractions(ImbalanceSplit(split=split), 10)
    np.testing.assert_allclose(fractions, GOLDEN[split], atol=5e-7)


@pytest.mark.parametrize("classes", [2, 10, 37])
def test_every_split_lies_between_a_tenth_and_one_and_reaches_one(classes: int) -> None:
    for split in range(200):
        fractions = class_fractions(ImbalanceSplit(split=split), classes)
        assert fractions.shape == (classes,)
        assert fractions.min() >= 0.1
        assert fractions.max() == 1.0


def test_splits_differ() -> None:
    seen = {class_fractions(ImbalanceSplit(split=split), 10).tobytes() for split in range(50)}
    assert len(seen) == 50


def test_fractions_of_splits_spread_over_the_whole_range() -> None:
    fractions = np.stack([class_fractions(ImbalanceSplit(split=split), 10) for split in range(300)])
    assert abs(fractions[fractions < 1].mean() - 0.55) < 0.02
    assert fractions.min() < 0.11
    assert (fractions.argmax(axis=1)[:, None] == np.arange(10)).any(axis=0).all()


def test_no_imbalance_keeps_every_class_whole() -> None:
    np.testing.assert_array_equal(class_fractions("none", 4), np.ones(4))


def test_negative_split_is_refused() -> None:
    with pytest.raises(ValidationError):
        ImbalanceSplit(split=-1)


@pytest.mark.parametrize("file", ["table.npy", "table.csv"])
def test_row_of_a_table_gives_proportions_of_its_largest_class(tmp_path: Path, file: str) -> None:
    table = np.array([[10.0, 20.0, 40.0], [3.0, 1.5, 0.75]])
    path = tmp_path / file
    if path.suffix == ".npy":
        np.save(path, table)
    else:
        np.savetxt(path, table, delimiter=",", header="cat,dog,bird")
    np.testing.assert_allclose(class_fractions(ImbalanceFile(file=path), 3), [0.25, 0.5, 1.0])
    np.testing.assert_allclose(class_fractions(ImbalanceFile(file=path, row=1), 3), [1.0, 0.5, 0.25])


def test_single_row_needs_no_second_dimension(tmp_path: Path) -> None:
    np.save(tmp_path / "row.npy", np.array([1, 2], dtype=np.int32))
    np.testing.assert_allclose(class_fractions(ImbalanceFile(file=tmp_path / "row.npy"), 2), [0.5, 1.0])


def test_pickled_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pickled.npy"
    np.save(path, np.array([[1.0, 2.0]], dtype=object), allow_pickle=True)  # numbers, were it unpickled
    with pytest.raises(DataError, match="not a table of numbers"):
        class_fractions(ImbalanceFile(file=path), 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.csv", b"a,b\nc,d\n"),
        ("ragged.csv", b"1,2\n3\n"),
        ("picture.csv", b"\x89PNG\r\n\xff\xfe"),
        ("empty.npy", b""),
        ("text.npy", b"1,2,3"),
        ("cut.npy", b"\x93NUMPY\x01\x00v\x00{'descr'"),
    ],
)
def test_file_that_is_no_table_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} is not a table of numbers"):
        class_fractions(ImbalanceFile(file=tmp_path / name), 2)


def test_archive_called_npy_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "table.npz", fractions=np.ones((1, 2)))
    (tmp_path / "table.npz").rename(tmp_path / "table.npy")
    with pytest.raises(DataError, match="not a table of numbers"):
        class_fractions(ImbalanceFile(file=tmp_path / "table.npy"), 2)


def test_table_of_three_dimensions_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", np.ones((2, 2, 2)))
    with pytest.raises(DataError, match="3 dimensions"):
        class_fractions(ImbalanceFile(file=tmp_path / "cube.npy"), 2)


def test_wrong_number_of_columns_says_both_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.ones((5, 9)))
    with pytest.raises(DataError, match=r"9 columns.*10 classes"):
        class_fractions(ImbalanceFile(file=tmp_path / "table.npy"), 10)


def test_row_past_the_end_says_how_many_there_are(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.ones((5, 10)))
    with pytest.raises(DataError, match="5 rows, got row 5"):
        class_fractions(ImbalanceFile(file=tmp_path / "table.npy", row=5), 10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_row_must_hold_positive_finite_numbers(tmp_path: Path, bad: float) -> None:
    np.save(tmp_path / "table.npy", np.array([[1.0, bad], [1.0, 1.0]]))
    with pytest.raises(DataError, match="positive, finite"):
        class_fractions(ImbalanceFile(file=tmp_path / "table.npy"), 2)
    class_fractions(ImbalanceFile(file=tmp_path / "table.npy", row=1), 2)


def test_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*absent\.npy"):
        class_fractions(ImbalanceFile(file=tmp_path / "absent.npy"), 2)


def test_counts_hold_the_proportions_and_use_all_that_is_there() -> None:
    available = np.array([700, 500, 900])
    fractions = np.array([1.0, 0.5, 0.2])
    counts = imbalanced_counts(fractions, available)
    np.testing.assert_array_equal(counts, [700, 350, 140])


@pytest.mark.parametrize("split", range(20))
def test_counts_of_splits_are_within_one_image_of_their_proportions(split: int) -> None:
    available = np.random.default_rng(split).integers(100, 7000, size=10)
    fractions = class_fractions(ImbalanceSplit(split=split), 10)
    counts = imbalanced_counts(fractions, available)
    assert (counts <= available).all()
    assert (counts == available).any(), "larger counts would have been possible"
    scale = (available / fractions).min()
    assert np.abs(counts - scale * fractions).max() < 1


def test_rounding_does_not_lose_an_image() -> None:
    """0.1 · 30 is 3.0000000000000004 or 2.9999999999999996, depending on the order of operations."""
    for available in range(1, 300):
        counts = imbalanced_counts(np.array([1.0, 0.1, 0.7]), np.array([10 * available] * 3))
        np.testing.assert_array_equal(counts, [10 * available, available, 7 * available])


def test_no_class_disappears() -> None:
    counts = imbalanced_counts(np.array([1.0, 0.001]), np.array([50, 50]))
    np.testing.assert_array_equal(counts, [50, 1])


def test_chosen_images_have_the_counts_asked_for_each_once() -> None:
    labels = np.random.default_rng(0).integers(3, size=200)
    chosen = choose(labels, np.array([10, 0, 25]), seed=4)
    assert len(set(chosen.tolist())) == 35
    np.testing.assert_array_equal(np.bincount(labels[chosen], minlength=3), [10, 0, 25])


def test_choice_is_decided_by_its_seed_alone_and_shuffled() -> None:
    labels = np.repeat([0, 1], 100)
    counts = np.array([50, 50])
    first = choose(labels, counts, seed=1)
    np.testing.assert_array_equal(first, choose(labels, counts, seed=1))
    assert set(first.tolist()) != set(choose(labels, counts, seed=2).tolist())
    assert 10 < labels[first][:50].sum() < 40, "the classes should be mixed, not one after the other"
