"""The evaluator, on puppets whose metrics are known and on a real model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from eig_tune.data import AugmentSettings, ImageData
from eig_tune.data.batches import to_unit_range
from eig_tune.evaluation.classifier import EvaluationClassifier
from eig_tune.evaluation.evaluator import Evaluator, sample_grid
from eig_tune.evaluation.metrics import METRICS
from eig_tune.models import METHODS, ModelSettings, NetworkSettings
from eig_tune.models.base import ModelSetup
from eig_tune.models.infogan import InfoGan

CPU = torch.device("cpu")
STILL = AugmentSettings(rotation=0, zoom=0, shear=0, shift=0, distortion=0)


@dataclass
class Puppet:
    """A model that makes one fixed image per category and reads images as it is set to."""

    pictures: Tensor
    read: Callable[[Tensor], Tensor]
    shares: Tensor
    noise_dim: int = 1

    def __post_init__(self) -> None:
        self.categories = len(self.pictures)

    def generate(self, categories_N: Tensor, noise: Tensor) -> Tensor:
        return self.pictures[categories_N]

    def category_logits(self, images_NCHW: Tensor) -> Tensor:
        with torch.no_grad():
            return self.read(images_NCHW)

    def prior_probabilities(self) -> Tensor:
        return self.shares


@pytest.fixture(scope="module")
def clearest(digits: ImageData, classifier: EvaluationClassifier) -> Tensor:
    """The held-out image of each class that the evaluation classifier is surest of, [C, 1, S, S]."""
    images = to_unit_range(torch.tensor(digits.held_out.pixels))
    with torch.no_grad():
        return images[classifier.network(CPU)(images).softmax(dim=1).argmax(dim=0)]


@pytest.fixture(scope="module")
def true_shares(digits: ImageData) -> Tensor:
    return torch.tensor(digits.class_distribution).float()


def evaluator(data: ImageData, classifier: EvaluationClassifier | None, settings: AugmentSettings = STILL) -> Evaluator:
    return Evaluator(data, classifier, settings, CPU)


def tiny_model(data: ImageData) -> InfoGan:
    networks = NetworkSettings(width=4, noise_dim=4)
    generator = torch.Generator().manual_seed(0)
    method, shape = METHODS["elastic-infogan"], (data.image_size, data.channels)
    return InfoGan(ModelSetup(method, networks, ModelSettings(), *shape, None, generator))


def test_perfect_model_has_the_best_metrics(
    digits: ImageData, classifier: EvaluationClassifier, clearest: Tensor, true_shares: Tensor
) -> None:
    """Category k is class (k + 1) mod 10; Q is the evaluation classifier itself."""
    network = classifier.network(CPU)
    puppet = Puppet(clearest.roll(-1, 0), lambda images: 20 * network(images).roll(-1, dims=1), true_shares.roll(-1, 0))
    evaluation = evaluator(digits, classifier).evaluate(puppet, images_per_category=4)
    reached = evaluation.metrics
    np.testing.assert_array_equal(evaluation.table, 4 * np.roll(np.eye(10), 1, axis=1))
    assert reached["nmi"] == pytest.approx(1)
    assert reached["average_entropy"] == 0
    assert reached["prior_rmse"] == pytest.approx(0, abs=1e-7)
    assert reached["nmi_real"] > 0.9
    assert reached["posterior_rmse"] < 0.01
    assert reached["code_recovery"] == 1
    assert reached["augment_agreement"] > 0.99
    assert reached["prior_posterior_gap"] < 0.02
    assert reached["q_entropy"] < 0.1
    assert reached["q_mutual_information"] > 2


def test_collapsed_model_is_seen(
    digits: ImageData, classifier: EvaluationClassifier, clearest: Tensor, true_shares: Tensor
) -> None:
    puppet = Puppet(
        clearest[[3] * 10], lambda images: torch.zeros(len(images), 10) + torch.eye(10)[0], torch.full((10,), 0.1)
    )
    reached = evaluator(digits, classifier).evaluate(puppet, images_per_category=4).metrics
    assert reached["nmi"] == 0
    assert reached["nmi_real"] == pytest.approx(0, abs=1e-9)
    expected = torch.eye(10)[3] - true_shares
    assert reached["prior_rmse"] == pytest.approx(expected.square().mean().sqrt().item(), rel=1e-5)
    assert reached["code_recovery"] == pytest.approx(0.1)
    assert reached["q_mutual_information"] == pytest.approx(0, abs=1e-9)


def test_posterior_stands_in_the_place_of_the_prior(
    digits: ImageData, classifier: EvaluationClassifier, clearest: Tensor, true_shares: Tensor
) -> None:
    """Q says 0.6, 0.4 / 9, … of every image; the prior is another one."""
    says = torch.tensor([0.6] + [0.4 / 9] * 9)
    puppet = Puppet(clearest, lambda images: says.log().expand(len(images), -1), true_shares)
    reached = evaluator(digits, classifier).evaluate(puppet, images_per_category=2).metrics
    assert reached["prior_rmse"] == pytest.approx(0, abs=1e-6)
    assert reached["posterior_rmse"] == pytest.approx((says - true_shares).square().mean().sqrt().item(), rel=1e-4)
    assert reached["prior_posterior_gap"] == pytest.approx((says - true_shares).abs().sum().item() / 2, rel=1e-4)


def test_agreement_is_between_an_image_and_its_transformation(
    digits: ImageData, classifier: EvaluationClassifier, clearest: Tensor, true_shares: Tensor
) -> None:
    """Q reads whether the left half is darker: mirroring half of the images changes it for about half of them."""

    def left_or_right(images: Tensor) -> Tensor:
        difference = images[..., :8].mean(dim=(1, 2, 3)) - images[..., 8:].mean(dim=(1, 2, 3))
        return torch.stack([difference, -difference, *[torch.full_like(difference, -9.0)] * 8], dim=1)

    puppet = Puppet(clearest, left_or_right, true_shares)
    still = evaluator(digits, classifier).evaluate(puppet, 1).metrics
    mirrored = evaluator(digits, classifier, STILL.model_copy(update={"flip": True})).evaluate(puppet, 1).metrics
    assert still["augment_agreement"] == pytest.approx(1, abs=0.01)
    assert mirrored["augment_agreement"] == pytest.approx(0.5, abs=0.06)


def test_more_categories_than_classes_have_a_table_of_their_own(
    few_digits: ImageData, classifier: EvaluationClassifier, clearest: Tensor
) -> None:
    puppet = Puppet(
        torch.cat([clearest, clearest[:5]]),
        lambda images: torch.eye(15)[torch.zeros(len(images)).long()],
        torch.full((15,), 1 / 15),
    )
    evaluation = evaluator(few_digits, classifier).evaluate(puppet, images_per_category=3)
    assert evaluation.table is not None
    assert evaluation.table.shape == (15, 10)
    assert evaluation.table.sum(axis=1).tolist() == [3] * 15
    assert 0.9 < evaluation.metrics["nmi"] < 1


def test_same_model_gets_the_same_metrics_from_every_evaluator(
    few_digits: ImageData, classifier: EvaluationClassifier
) -> None:
    model = tiny_model(few_digits)
    first = evaluator(few_digits, classifier, AugmentSettings())
    reached = [first.evaluate(model, 3), first.evaluate(model, 3)]
    torch.manual_seed(1)
    reached.append(evaluator(few_digits, classifier, AugmentSettings()).evaluate(model, 3))
    assert reached[0].metrics == reached[1].metrics == reached[2].metrics
    np.testing.assert_array_equal(reached[0].samples, reached[2].samples)


def test_judging_takes_no_global_random_numbers(few_digits: ImageData, classifier: EvaluationClassifier) -> None:
    model, judging = tiny_model(few_digits), evaluator(few_digits, classifier, AugmentSettings(flip=True))
    before = torch.get_rng_state()
    judging.evaluate(model, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_labelled_data_have_every_metric(few_digits: ImageData, classifier: EvaluationClassifier) -> None:
    evaluation = evaluator(few_digits, classifier, AugmentSettings()).evaluate(tiny_model(few_digits), 2)
    assert list(evaluation.metrics) == list(METRICS)
    for name, value in evaluation.metrics.items():
        smallest, largest = METRICS[name].bounds
        assert np.isfinite(value)
        assert smallest <= value <= largest, name
    assert evaluation.prior.sum() == pytest.approx(1)


def test_unlabelled_data_have_the_label_free_metrics_only(unlabelled_digits: ImageData) -> None:
    evaluation = evaluator(unlabelled_digits, None).evaluate(tiny_model(unlabelled_digits), 2)
    assert set(evaluation.metrics) == {name for name, metric in METRICS.items() if not metric.needs_labels}
    assert evaluation.table is None
    assert evaluation.class_distribution is None
    assert evaluation.samples.shape == (10, 10, 1, 16, 16)


def test_sample_grid_has_a_row_per_category_in_full_range(clearest: Tensor, true_shares: Tensor) -> None:
    grid = sample_grid(Puppet(clearest, lambda images: images, true_shares), 3, CPU)
    assert grid.shape == (10, 3, 1, 16, 16)
    assert grid.dtype == np.uint8
    for row, image in zip(grid, clearest, strict=True):
        np.testing.assert_array_equal(row, np.tile(((image + 1) * 127.5).round().numpy(), (3, 1, 1, 1)))


def test_rows_of_the_grid_share_their_noise(few_digits: ImageData) -> None:
    noises: list[Tensor] = []

    class Noting(Puppet):
        def generate(self, categories_N: Tensor, noise: Tensor) -> Tensor:
            noises.append(noise)
            return super().generate(categories_N, noise)

    puppet = Noting(torch.zeros(4, 1, 8, 8), lambda images: images, torch.full((4,), 0.25), noise_dim=5)
    sample_grid(puppet, 3, CPU)
    (noise,) = noises
    by_category = noise.view(4, 3, 5)
    assert all(torch.equal(by_category[0], row) for row in by_category)
    assert len(by_category[0].unique(dim=0)) == 3


def test_bytes_become_numbers_from_minus_one_to_one() -> None:
    reached = to_unit_range(torch.tensor([0, 255], dtype=torch.uint8))
    assert reached.tolist() == [-1, 1]
