"""What a plan says of one trial: its speed, its networks, and how large a checkpoint of it is."""

from pathlib import Path

import torch

from eig_tune.data import ImageData
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData, fit
from eig_tune.training.speed import measure_trial


def test_measured_size_is_that_of_a_checkpoint(tiny_config: TrainConfig, few_digits: ImageData, tmp_path: Path) -> None:
    measured = measure_trial(tiny_config, few_digits)
    first = next(fit(tiny_config, TrialData(few_digits, None), device=torch.device("cpu")))
    first.save(tmp_path)
    written = (tmp_path / "state.safetensors").stat().st_size
    assert measured.checkpoint_bytes <= written < 1.2 * measured.checkpoint_bytes + 20_000
    assert measured.steps_per_second > 0
    assert "s an evaluation measured here for one trial (infogan, 0.0 million weights, " in str(measured)


def test_last_evaluation_is_measured_with_its_own_number_of_images(
    tiny_config: TrainConfig, few_digits: ImageData
) -> None:
    many = tiny_config.with_params({"steps": 1000, "final_images_per_category": 3000})
    measured = measure_trial(many, few_digits)
    assert measured.last_evaluation_seconds > 2 * measured.evaluation_seconds > 0


def test_model_with_networks_of_its_own_names_none(tiny_config: TrainConfig, few_digits: ImageData) -> None:
    measured = measure_trial(tiny_config.with_params({"method": "joint-vae"}), few_digits)
    assert measured.network is None
    assert "(0.0 million weights" in str(measured)
