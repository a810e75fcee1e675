"""The Fréchet distance in the evaluation classifier's features."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from test_evaluator import Puppet, evaluator, tiny_model

from eig_tune.data import ImageData
from eig_tune.data.batches import to_unit_range
from eig_tune.evaluation.classifier import EvaluationClassifier
from eig_tune.evaluation.frechet import FeatureMoments, frechet_distance

FEATURES = 5


def features(seed: int, images: int = 40) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return random.normal(size=(images, FEATURES)) @ random.normal(size=(FEATURES, FEATURES)) + random.normal(
        size=FEATURES
    )


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_formula_by_a_matrix_root(seed: int) -> None:
    first, second = features(seed), features(seed + 100)
    difference = first.mean(axis=0) - second.mean(axis=0)
    covariances = [np.cov(some, rowvar=False, ddof=0) for some in (first, second)]
    expected = difference @ difference + np.trace(sum(covariances) - 2 * sqrtm(covariances[0] @ covariances[1]).real)
    assert frechet_distance(FeatureMoments.of(first), FeatureMoments.of(second)) == pytest.approx(expected, rel=1e-8)


def test_it_is_zero_for_the_same_images_in_any_order_and_grows_with_their_distance() -> None:
    images = features(0)
    own = FeatureMoments.of(images)
    assert frechet_distance(own, FeatureMoments.of(images[::-1])) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(own, FeatureMoments.of(images + 1)) == pytest.approx(FEATURES, rel=1e-6)


def test_images_with_a_covariance_of_lower_rank_have_one() -> None:
    constant = FeatureMoments.of(np.ones((3, FEATURES)))
    assert frechet_distance(constant, constant) == 0
    assert np.isfinite(frechet_distance(constant, FeatureMoments.of(features(1, images=3))))


def test_of_what_is_no_number_there_is_none() -> None:
    broken = FeatureMoments.of(np.full((3, FEATURES), np.nan))
    assert np.isnan(frechet_distance(broken, FeatureMoments.of(features(1))))
    assert np.isnan(frechet_distance(FeatureMoments.of(features(1)), broken))


def test_weights_count_as_repetition() -> None:
    images = features(2, images=3)
    weighted = FeatureMoments.of(images, np.array([1.0, 2.0, 1.0]))
    repeated = FeatureMoments.of(images[[0, 1, 1, 2]])
    np.testing.assert_allclose(weighted.covariance_FF, repeated.covariance_FF)
    np.testing.assert_allclose(weighted.mean_F, repeated.mean_F)


def test_real_images_are_nearer_than_those_of_an_untrained_model_and_the_prior_s_shares_count(
    digits: ImageData, classifier: EvaluationClassifier
) -> None:
    one_of_each = [np.flatnonzero(digits.held_out.labels == label)[0] for label in range(10)]
    pictures = to_unit_range(torch.tensor(digits.held_out.pixels[one_of_each]))
    network, judge = classifier.network(torch.device("cpu")), evaluator(digits, classifier)

    def distance(shares: torch.Tensor) -> float:
        return judge.evaluate(Puppet(pictures, network, shares), images_per_category=4).metrics["fid_classifier"]

    only_one = torch.zeros(10)
    only_one[3] = 1.0
    untrained = judge.evaluate(tiny_model(digits), images_per_category=4).metrics["fid_classifier"]
    true_shares = distance(torch.tensor(digits.class_distribution).float())
    assert 0 < true_shares < distance(only_one)
    assert true_shares < untrained
