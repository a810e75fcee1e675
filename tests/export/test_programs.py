"""Both programs of every network agree with the model, also where a side is odd on the way down."""

from pathlib import Path

import pytest
import torch

from eig_tune.export.programs import LARGEST_DIFFERENCE, write_programs
from eig_tune.models import METHODS, ModelSettings, NetworkSettings
from eig_tune.models.base import ModelSetup, build_model
from eig_tune.models.networks import NETWORKS


@pytest.mark.slow
@pytest.mark.parametrize(("size", "channels"), [(28, 1), (20, 3)])
@pytest.mark.parametrize("network", NETWORKS)
def test_programs_of_every_network_agree_with_the_model(network: str, size: int, channels: int, tmp_path: Path) -> None:
    networks = NetworkSettings.model_validate({"network": network, "width": 4, "noise_dim": 4, "categories": 5})
    generator = torch.Generator().manual_seed(0)
    setup = ModelSetup(METHODS["uniform-infogan"], networks, ModelSettings(), size, channels, None, generator)
    model = build_model(setup)
    images = torch.rand(8, channels, size, size, generator=generator) * 2 - 1
    model.train_step(images, images, generator)
    differences = write_programs(model, size, channels, tmp_path)
    assert set(differences) == {"encoder.pt2", "encoder.onnx", "generator.pt2", "generator.onnx"}
    assert max(differences.values()) <= LARGEST_DIFFERENCE
