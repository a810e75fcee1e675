"""The networks: InfoGAN's published sizes at width 64, and every size and colour that is offered."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from eig_tune.models import NetworkSettings
from eig_tune.models.networks import (
    CategoryHead,
    Discriminator,
    FrontEnd,
    Generator,
    initialise,
)

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
    assert weight_shapes(Discriminator(settings)) == [(1, 1024)]
    assert weight_shapes(CategoryHead(settings)) == [(128, 1024), (10, 128)]
    assert normalised(CategoryHead(settings)) == [128]


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


@pytest.mark.parametrize("size", [16, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_every_size_and_colour_go_through(size: int, channels: int) -> None:
    settings = NetworkSettings(width=4, noise_dim=5, categories=7)
    images = Generator(settings, size, channels)(torch.randn(3, 5), torch.randn(3, 7))
    trunk = FrontEnd(settings, size, channels)(images)
    features, logits = CategoryHead(settings)(trunk)
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert trunk.shape == (3, 64)
    assert (features.shape, logits.shape) == ((3, 128), (3, 7))
    assert Discriminator(settings)(trunk).shape == (3,)


def test_code_and_noise_both_reach_the_image() -> None:
    settings = NetworkSettings(width=4, noise_dim=5, categories=7)
    generator = Generator(settings, 16, 1).eval()
    noise, code = torch.randn(1, 5), torch.eye(7)[:1]
    image = generator(noise, code)
    assert not torch.equal(image, generator(noise + 1, code))
    assert not torch.equal(image, generator(noise, torch.eye(7)[1:2]))


def test_initial_weights_are_normal_with_deviation_0_02() -> None:
    module = Generator(NetworkSettings(), 28, 1)
    initialise(module, torch.Generator().manual_seed(0))
    for layer in module.modules():
        if isinstance(layer, WEIGHTED):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(layer.weight.mean().item()) < 0.002
            assert layer.bias is not None
            assert (layer.bias == 0).all()
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()


def test_initial_weights_are_decided_by_the_generator_alone() -> None:
    made = []
    for global_seed, seed in ((0, 5), (1, 5), (0, 6)):
        torch.manual_seed(global_seed)
        module = CategoryHead(NetworkSettings(width=4))
        initialise(module, torch.Generator().manual_seed(seed))
        made.append(module.logits.weight.detach())
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@pytest.mark.parametrize("settings", [{"width": 3}, {"noise_dim": 0}, {"categories": 1}, {"depth": 4}])
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        NetworkSettings(**settings)
