"""InfoGAN's networks have the published sizes at width 64."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from eig_tune.models import NetworkSettings
from eig_tune.models.networks.base import CategoryHead, Discriminator, initialise_normal
from eig_tune.models.networks.infogan import FrontEnd, Generator

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def weight_shapes(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, WEIGHTED)]


def normalised(module: nn.Module) -> list[int]:
    batch_norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    return [layer.num_features for layer in module.modules() if isinstance(layer, batch_norms)]


def test_generator_of_width_64_is_the_published_one() -> None:
    """Chen et al. 2016, table of C.1: fc 1024, fc 7 × 7 × 128, upconv 64, upconv 1, batch norm but on the last."""
    generator = Generator(NetworkSettings(), 28, 1)
    assert weight_shapes(generator) == [(1024, 72), (6272, 1024), (128, 64, 4, 4), (64, 1, 4, 4)]
    assert normalised(generator) == [1024, 6272, 64]
    assert isinstance(list(generator.modules())[-1], nn.Tanh)


def test_front_end_and_heads_of_width_64_are_the_published_ones() -> None:
    """conv 64, conv 128, fc 1024; D: fc 1; Q: fc 128, fc 10; batch norm but on the first."""
    settings = NetworkSettings()
    front_end = FrontEnd(settings, 28, 1)
    assert weight_shapes(front_end) == [(64, 1, 4, 4), (128, 64, 4, 4), (1024, 6272)]
    assert normalised(front_end) == [128, 1024]
    assert weight_shapes(Discriminator(front_end.trunk_size)) == [(1, 1024)]
    assert weight_shapes(CategoryHead(front_end.trunk_size, 10)) == [(128, 1024), (10, 128)]
    assert normalised(CategoryHead(front_end.trunk_size, 10)) == [128]


def test_convolutions_halve_and_double_and_slopes_are_those_of_infogan() -> None:
    layers = [*FrontEnd(NetworkSettings(), 28, 1).modules(), *Generator(NetworkSettings(), 28, 1).modules()]
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    assert {(layer.stride, layer.padding) for layer in convolutions} == {((2, 2), (1, 1))}
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize("width", [4, 16])
def test_smaller_width_shrinks_every_layer(width: int) -> None:
    settings = NetworkSettings(width=width)
    assert weight_shapes(Generator(settings, 28, 1)) == [
        (16 * width, 72),
        (98 * width, 16 * width),
        (2 * width, width, 4, 4),
        (width, 1, 4, 4),
    ]
    assert weight_shapes(FrontEnd(settings, 28, 1))[-1] == (16 * width, 98 * width)


def test_initial_weights_are_normal_with_deviation_0_02() -> None:
    module = Generator(NetworkSettings(), 28, 1)
    initialise_normal(module, torch.Generator().manual_seed(0))
    for layer in module.modules():
        if isinstance(layer, WEIGHTED):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(layer.weight.mean().item()) < 0.002
            assert layer.bias is not None
            assert (layer.bias == 0).all()
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()


@pytest.mark.parametrize(
    "settings", [{"width": 3}, {"noise_dim": 0}, {"categories": 1}, {"depth": 4}, {"network": "vgg"}]
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NetworkSettings(**settings)
