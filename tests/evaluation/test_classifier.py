"""The evaluation classifier: trained once per data set and seed, and good enough."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from eig_tune.data import ImageData
from eig_tune.data.batches import to_unit_range
from eig_tune.errors import DataError
from eig_tune.evaluation import classifier as classifier_module
from eig_tune.evaluation.classifier import EvaluationClassifier, lowest_accuracy, train_classifier

CPU = torch.device("cpu")


@pytest.fixture
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eig_tune.evaluation.classifier._SMALLEST_STEPS", 3)
    monkeypatch.setattr("eig_tune.evaluation.classifier._LARGEST_STEPS", 3)


def same(first: EvaluationClassifier, second: EvaluationClassifier) -> bool:
    return all(np.array_equal(value, second.weights[name]) for name, value in first.weights.items())


def test_classifier_knows_the_held_out_digits(classifier: EvaluationClassifier, digits: ImageData) -> None:
    images = to_unit_range(torch.tensor(digits.held_out.pixels))
    with torch.no_grad():
        predicted = classifier.network(CPU)(images).argmax(dim=1).numpy()
    assert classifier.accuracy > lowest_accuracy("digits")
    known = [np.mean(predicted[digits.held_out.labels == label] == label) for label in range(10)]
    assert classifier.accuracy == pytest.approx(np.mean(known), abs=1e-9)


def test_network_is_in_evaluation_mode(classifier: EvaluationClassifier) -> None:
    assert not any(module.training for module in classifier.network(CPU).modules())


def test_classifier_is_trained_once(few_digits: ImageData, tmp_path: Path, short_training: None) -> None:
    seen: list[tuple[int, int]] = []
    first = train_classifier(few_digits, tmp_path, on_progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    second = train_classifier(few_digits, tmp_path, on_progress=lambda done, of: seen.append((done, of)))
    assert len(seen) == 3
    assert same(first, second)
    assert (first.accuracy, first.classes, first.channels) == (second.accuracy, second.classes, second.channels)


def test_training_is_decided_by_its_seed(few_digits: ImageData, tmp_path: Path, short_training: None) -> None:
    first, again, other = (
        train_classifier(few_digits, tmp_path / folder, seed) for folder, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert same(first, again)
    assert not same(first, other)


def test_other_seed_or_other_images_are_another_classifier(
    few_digits: ImageData, tmp_path: Path, short_training: None
) -> None:
    first = train_classifier(few_digits, tmp_path)
    assert not same(first, train_classifier(few_digits, tmp_path, seed=1))
    labels = few_digits.trainable.labels
    assert labels is not None
    relabelled = replace(few_digits.trainable, labels=np.roll(labels, 1))
    assert not same(first, train_classifier(replace(few_digits, trainable=relabelled), tmp_path))
    assert len(list(tmp_path.iterdir())) == 3


def test_imbalance_needs_no_new_classifier(few_digits: ImageData, tmp_path: Path, short_training: None) -> None:
    train_classifier(few_digits, tmp_path)
    train_classifier(replace(few_digits, training=few_digits.training.take(np.arange(50))), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_training_leaves_global_random_numbers_alone(
    few_digits: ImageData, tmp_path: Path, short_training: None
) -> None:
    before = torch.get_rng_state()
    train_classifier(few_digits, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_cache_holds_one_safetensors_file_and_nothing_half_written(
    few_digits: ImageData, tmp_path: Path, short_training: None
) -> None:
    train_classifier(few_digits, tmp_path / "new" / "cache")
    (file,) = (tmp_path / "new" / "cache").iterdir()
    assert file.suffix == ".safetensors"


def test_damaged_cache_is_trained_anew(few_digits: ImageData, tmp_path: Path, short_training: None) -> None:
    first = train_classifier(few_digits, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert same(first, train_classifier(few_digits, tmp_path))


def test_two_searches_may_train_the_same_classifier_at_once(
    few_digits: ImageData, tmp_path: Path, short_training: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one finishes between our writing the file and our giving it its name."""
    others: list[EvaluationClassifier] = []

    def save_and_be_overtaken(*arguments: Any, **options: Any) -> None:
        save_file(*arguments, **options)
        monkeypatch.setattr(classifier_module, "save_file", save_file)
        if not others:
            others.append(train_classifier(few_digits, tmp_path))

    monkeypatch.setattr(classifier_module, "save_file", save_and_be_overtaken)
    assert same(train_classifier(few_digits, tmp_path), others[0])


def test_unlabelled_images_cannot_have_a_classifier(unlabelled_digits: ImageData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labels"):
        train_classifier(unlabelled_digits, tmp_path)


def test_accuracy_to_be_trusted_is_lower_on_fashion_mnist() -> None:
    assert lowest_accuracy("mnist") == 0.95
    assert lowest_accuracy("fashion-mnist") == 0.85
