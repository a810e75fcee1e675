"""A single run and its model from Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import eig_tune
from eig_tune import TrainedRun, View
from eig_tune.errors import ConfigError, DataError, EigTuneError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(60, 16, 16), dtype=np.uint8)
SPACE: dict[str, Any] = {
    "model": {"width": 4, "noise_dim": 4, "categories": 5},
    "train": {"steps": 4, "report_every": 2, "batch_size": 8, "images_per_category": 2},
    "search": {"lambda_2": {"loguniform": [1, 30]}},
    "objectives": {"code_recovery": "maximize"},
}


def train(home: Path, **options: Any) -> TrainedRun:
    return eig_tune.train(SPACE, IMAGES, home=home, view=View(), **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return train(tmp_path_factory.mktemp("home"), params={"seed": 1})


def test_run_has_its_curves_and_its_metrics(run: TrainedRun) -> None:
    assert run.curves.index.tolist() == [2, 4]
    assert run.metrics == run.curves.loc[4].to_dict()
    assert 0 <= run.metrics["code_recovery"] <= 1
    assert repr(run.model) == "<TrainedModel elastic-infogan: 5 categories of 16 × 16 × 1 images, 4 steps>"


def test_images_are_predicted_in_any_form(run: TrainedRun) -> None:
    probabilities = run.model.predict_proba(IMAGES)
    assert probabilities.shape == (60, 5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(run.model.predict(IMAGES), probabilities.argmax(axis=1))
    forms: list[Any] = [IMAGES[:, None], IMAGES / 255, torch.tensor(IMAGES), torch.tensor(IMAGES)[:, None] / 255]
    for form in forms:
        np.testing.assert_array_equal(run.model.predict_proba(form), probabilities)
    np.testing.assert_allclose(run.model.predict_proba(IMAGES[:1]), probabilities[:1], atol=1e-6)


def test_images_of_another_side_are_resized_and_others_refused(run: TrainedRun) -> None:
    assert run.model.predict(IMAGES[:3, ::2, ::2]).shape == (3,)
    with pytest.raises(DataError, match="got 16 × 12 with 1 channels; this model's are 16 × 16 with 1"):
        run.model.predict(IMAGES[:, :, :12])
    with pytest.raises(DataError, match="got 16 × 16 with 3 channels"):
        run.model.predict(np.zeros((2, 3, 16, 16), np.uint8))


def test_images_are_drawn_of_every_category(run: TrainedRun) -> None:
    assert run.model.sample(count=2).shape == (5, 2, 1, 16, 16)
    np.testing.assert_array_equal(run.model.sample([3], count=2)[0], run.model.sample(count=2)[3])
    with pytest.raises(EigTuneError, match="got 7; this model has the categories 0 to 4"):
        run.model.sample([7])
    np.testing.assert_allclose(run.model.prior_K.sum(), 1)


def test_same_seed_is_the_same_run_and_params_change_it(run: TrainedRun, tmp_path: Path) -> None:
    again = train(tmp_path, params={"seed": 1})
    assert again.curves.equals(run.curves)
    np.testing.assert_array_equal(again.model.predict_proba(IMAGES), run.model.predict_proba(IMAGES))
    assert not train(tmp_path, params={"seed": 1, "lambda_2": 30.0}).curves.equals(run.curves)


def test_run_in_a_folder_goes_on_and_comes_to_the_same(run: TrainedRun, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(tmp_path, params={"seed": 1}, steps=2, out=out)
    with pytest.raises(EigTuneError, match="holds a run already"):
        train(tmp_path, params={"seed": 1}, out=out)
    seen = list[int]()
    whole = train(tmp_path, params={"seed": 1}, out=out, resume=True, on_report=lambda report: seen.append(report.step))
    assert seen == [4]
    assert whole.curves.index.tolist() == [2, 4]
    np.testing.assert_array_equal(whole.model.predict_proba(IMAGES), run.model.predict_proba(IMAGES))


def test_what_is_wrong_is_reported_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lambda_9: no such parameter"):
        train(tmp_path, params={"lambda_9": 1.0})
    with pytest.raises(ConfigError, match=r"train\.steps"):
        train(tmp_path, steps=0)
    assert not list(tmp_path.iterdir())
