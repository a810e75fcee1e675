"""The metrics that need no labels to judge a model, against loops, and on models that are good, wrong or collapsed."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score
from test_evaluator import CPU, STILL, Puppet
from torch import Tensor

from eig_tune.data import AugmentSettings, ImageData
from eig_tune.data.batches import to_unit_range
from eig_tune.data.photometric import change_photometrically
from eig_tune.evaluation import metrics
from eig_tune.evaluation.classifier import EvaluationClassifier
from eig_tune.evaluation.evaluator import Evaluator
from eig_tune.evaluation.neighbours import NearestImages, RandomFeatures


@pytest.mark.parametrize("seed", range(5))
def test_neighbour_nmi_is_that_of_a_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    read_N, nearest_M5, categories_G = (
        random.integers(7, size=40),
        random.integers(40, size=(90, 5)),
        np.arange(100) % 7,
    )
    votes = []
    for row in nearest_M5:
        counts = Counter(read_N[row].tolist())
        votes.append(min(counts, key=lambda category: (-counts[category], category)))
    expected = normalized_mutual_info_score(categories_G[:90], votes)
    assert metrics.neighbour_nmi(categories_G, nearest_M5, read_N, 7) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_information_share_is_mutual_information_over_log_k(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.integers(6, size=80), random.integers(6, size=80)
    expected = mutual_info_score(first, second) / np.log(6)
    assert metrics.information_share(first, second, 6) == pytest.approx(expected, abs=1e-12)
    even = np.repeat(np.arange(6), 10)
    assert metrics.information_share(even, even, 6) == pytest.approx(1)
    assert metrics.information_share(even, np.zeros_like(even), 6) == pytest.approx(0, abs=1e-12)


def test_classes_are_counted_once_and_the_rarest_is_looked_for() -> None:
    table_KC = np.array([[9.0, 1, 0], [8, 0, 0], [0, 9, 0]])
    assert metrics.classes_found(table_KC) == 2
    shares_C = np.array([0.5, 0.45, 0.05])
    real_table_KC = np.array([[5.0, 0, 1], [5, 0, 0], [0, 9, 3]])
    assert metrics.rarest_recall(table_KC, real_table_KC, shares_C) == 0
    table_KC[1] = [0, 1, 7]
    real_table_KC[1, 2] = 4
    assert metrics.classes_found(table_KC) == 3
    assert metrics.rarest_recall(table_KC, real_table_KC, shares_C) == pytest.approx(4 / 8)


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (28, 1), (64, 3)])
def test_features_are_the_same_every_time_and_an_image_is_nearest_to_itself(size: int, channels: int) -> None:
    images = torch.rand(30, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.manual_seed(5)
    features = RandomFeatures(size, channels)(images)
    torch.manual_seed(6)
    assert torch.equal(features, RandomFeatures(size, channels)(images))
    nearest = NearestImages(images, AugmentSettings()).of(images[7:10], 5)
    assert nearest[:, 0].tolist() == [7, 8, 9]
    assert nearest.shape == (3, 5)
    assert NearestImages(images[:2], AugmentSettings()).of(images[:1], 5).tolist() == [[0, 1]]


def test_images_of_a_class_are_nearer_to_each_other_than_to_others(digits: ImageData) -> None:
    """As far as random features go: most of the five nearest of a digit are of its class, for nine digits in ten."""
    assert digits.training.labels is not None
    assert digits.held_out.labels is not None
    nearest = NearestImages(to_unit_range(torch.tensor(digits.training.pixels)), AugmentSettings())
    found = nearest.of(to_unit_range(torch.tensor(digits.held_out.pixels)), 5).numpy()
    votes = [np.bincount(digits.training.labels[row]).argmax() for row in found]
    assert np.mean(np.array(votes) == digits.held_out.labels) > 0.9


LIGHT = AugmentSettings(brightness=0.4, contrast=0.4, saturation=0.5, hue=0.5, invert=0.5)


@pytest.mark.parametrize(("settings", "low", "high"), [(AugmentSettings(), 0.0, 0.7), (LIGHT, 0.85, 1.0)])
def test_what_delta_may_change_does_not_make_images_unlike(
    digits: ImageData, settings: AugmentSettings, low: float, high: float
) -> None:
    """Digits of random colours on others, half of them inverted, are near to their class where δ has all that."""
    assert digits.training.labels is not None
    assert digits.held_out.labels is not None
    generator = torch.Generator().manual_seed(0)

    def coloured(pixels: NDArray[np.uint8]) -> Tensor:
        ground, ink = torch.rand(2, len(pixels), 3, 1, 1, generator=generator) * 0.5
        grey = (to_unit_range(torch.tensor(pixels)) + 1) / 2
        return change_photometrically(2 * torch.lerp(ground, ink + 0.5, grey) - 1, LIGHT, generator)

    nearest = NearestImages(coloured(digits.training.pixels), settings)
    found = nearest.of(coloured(digits.held_out.pixels), 5).numpy()
    votes = [np.bincount(digits.training.labels[row]).argmax() for row in found]
    assert low < np.mean(np.array(votes) == digits.held_out.labels) < high


class Album(Puppet):
    """A model whose images of a category are real ones of a class; noise decides which."""

    def generate(self, categories_N: Tensor, noise: Tensor) -> Tensor:
        labels, images = self.labels, self.images
        of_class = [torch.nonzero(labels == category)[:, 0] for category in range(10)]
        chosen = [
            of_class[category][int(abs(number) * 1e4) % len(of_class[category])]
            for category, number in zip(categories_N.tolist(), noise[:, 0].tolist(), strict=True)
        ]
        return images[torch.stack(chosen)]

    labels: Tensor
    images: Tensor


def album(data: ImageData, read: Callable[[Tensor], Tensor]) -> Album:
    puppet = Album(torch.zeros(10, 1), read, torch.tensor(data.class_distribution).float())
    puppet.labels, puppet.images = torch.tensor(data.held_out.labels), to_unit_range(torch.tensor(data.held_out.pixels))
    return puppet


def test_what_is_consistent_with_itself_alone_scores_low(digits: ImageData, classifier: EvaluationClassifier) -> None:
    """G shows real images of a class and Q reads all of them back; how it reads others makes the difference."""
    network = classifier.network(CPU)
    good = album(digits, lambda x: 20 * network(x))
    shown = good.images
    reads = torch.eye(10)[good.labels] * 20
    wrong = album(digits, lambda x: _known(x, shown, reads, by_brightness(x)))
    collapsed = Puppet(shown[[3] * 10], lambda x: torch.eye(10)[torch.zeros(len(x)).long()] * 20, good.shares)
    evaluator = Evaluator(digits, classifier, STILL, CPU)
    of_good, of_wrong, of_collapsed = (evaluator.evaluate(puppet, 20).metrics for puppet in (good, wrong, collapsed))
    assert of_good["code_recovery"] > 0.9
    assert of_wrong["code_recovery"] > 0.9
    assert of_good["neighbour_nmi"] > 0.85
    assert of_good["prior_share_gap"] < 0.05
    assert of_good["label_free_score"] > 0.8
    assert of_wrong["neighbour_nmi"] < 0.5
    assert of_collapsed["label_free_score"] == pytest.approx(0, abs=1e-9)
    assert of_collapsed["augment_information"] == pytest.approx(0, abs=1e-9)


def by_brightness(images: Tensor) -> Tensor:
    """Ten categories by the mean of the upper half, each about as frequent as another among digits."""
    upper = images[..., :8, :].mean(dim=(1, 2, 3))
    return torch.eye(10)[torch.bucketize(upper, torch.linspace(-0.55, -0.1, 9))] * 20


def _known(images: Tensor, known: Tensor, reads: Tensor, otherwise: Tensor) -> Tensor:
    same = torch.cdist(images.flatten(1), known.flatten(1)) < 0.1  # cdist rounds
    return torch.where(same.any(dim=1, keepdim=True), reads[same.float().argmax(dim=1)], otherwise)


def test_a_category_shows_the_images_that_q_is_surest_of(digits: ImageData, classifier: EvaluationClassifier) -> None:
    network = classifier.network(CPU)
    images = to_unit_range(torch.tensor(digits.training.pixels))
    puppet = Puppet(
        images[:12], lambda x: torch.nn.functional.pad(network(x), (0, 2), value=-99.0), torch.full((12,), 1 / 12)
    )
    view = Evaluator(digits, classifier, STILL, CPU).evaluate(puppet, 2).categories
    with torch.no_grad():
        q = network(images).softmax(dim=1)
    read = q.argmax(dim=1)
    np.testing.assert_allclose(view.real_share_K, np.bincount(read, minlength=12) / len(read))
    assert view.surest.shape == view.least_sure.shape == (12, 8, 1, 16, 16)
    assert (view.surest[10:] == 64).all()
    assert view.mean_probability_K[10:].tolist() == [0, 0]
    for category in range(10):
        of_it = torch.where(read == category, q[:, category], torch.zeros(()))
        np.testing.assert_array_equal(view.surest[category, 0], digits.training.pixels[int(of_it.argmax())])
        assert view.mean_probability_K[category] == pytest.approx(q[read == category, category].mean().item(), abs=1e-5)
    np.testing.assert_allclose(view.alike_KK, view.alike_KK.T)
    assert ((view.alike_KK >= 0) & (view.alike_KK <= 1)).all()
