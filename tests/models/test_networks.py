"""Every network of the table: sizes, colours, first weights, and what a training step asks of it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from eig_tune.models import METHODS, ModelSettings, NetworkSettings
from eig_tune.models.base import ModelSetup
from eig_tune.models.infogan import InfoGan
from eig_tune.models.networks import AUTO, NETWORKS, network_for
from eig_tune.models.networks import base as networks_base
from eig_tune.models.networks.base import FEATURES, Networks, pyramid

SETTINGS = NetworkSettings(width=4, noise_dim=5, categories=7)
INFOGAN_METHODS = [name for name, method in METHODS.items() if method.model.name == "infogan"]
each_network = pytest.mark.parametrize("network", NETWORKS)


def make(network: str, size: int = 16, channels: int = 1, settings: NetworkSettings = SETTINGS) -> Networks:
    return NETWORKS[network].load()(settings, size, channels)


def trunk_of(front_end: nn.Module) -> int:
    size = front_end.trunk_size
    assert isinstance(size, int)
    return size


def modules(network: str, seed: int, size: int = 16) -> dict[str, nn.Module]:
    """G, front end, D and Q with their first weights."""
    networks = make(network, size)
    front_end = networks.front_end()
    made = {
        "generator": networks.generator(),
        "front_end": front_end,
        "discriminator": networks.discriminator(trunk_of(front_end)),
        "category_head": networks.category_head(trunk_of(front_end)),
    }
    generator = torch.Generator().manual_seed(seed)
    for module in made.values():
        networks.initialise(module, generator)
    return made


@each_network
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 12, 16, 20, 28, 36, 64, 100, 128])
def test_images_of_every_size_and_colour_go_through(network: str, size: int, channels: int) -> None:
    networks = make(network, size, channels)
    images = networks.generator()(torch.randn(3, 5), torch.randn(3, 7))
    front_end = networks.front_end()
    trunk = front_end(images)
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert trunk.shape == (3, front_end.trunk_size)
    features, logits = networks.category_head(trunk_of(front_end))(trunk)
    assert (features.shape, logits.shape) == ((3, FEATURES), (3, 7))
    assert networks.discriminator(trunk_of(front_end))(trunk).shape == (3,)


@each_network
@pytest.mark.parametrize("size", [16, 28, 36])
def test_every_pixel_is_seen_and_drawn(network: str, size: int) -> None:
    """Also those at the end of an odd side, where rows are added or left out."""
    made = modules(network, 0, size)
    images = torch.rand(4, 1, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    images.requires_grad_()
    made["front_end"].eval()(images).square().sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().sum(dim=(0, 1)) > 0).all()
    noise = torch.randn(4, 5, generator=torch.Generator().manual_seed(2))
    drawn = [made["generator"].eval()(noise, torch.eye(7)[[k] * 4]) for k in range(2)]
    assert ((drawn[0] - drawn[1]).abs().sum(dim=(0, 1)) > 0).all()


@each_network
def test_code_and_noise_both_reach_the_image(network: str) -> None:
    generator = modules(network, 0)["generator"].eval()
    noise, code = torch.randn(1, 5), torch.eye(7)[:1]
    image = generator(noise, code)
    assert not torch.equal(image, generator(noise + 1, code))
    assert not torch.equal(image, generator(noise, torch.eye(7)[1:2]))


@each_network
def test_all_that_is_random_at_first_is_decided_by_the_generator_alone(network: str) -> None:
    states = []
    for global_seed, seed in ((0, 5), (1, 5), (0, 6)):
        torch.manual_seed(global_seed)
        states.append({f"{n}.{k}": v for n, m in modules(network, seed).items() for k, v in m.state_dict().items()})
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if name.endswith("weight") and first[name].dim() > 1]
    assert len(drawn) > 5
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


@pytest.mark.parametrize("method", INFOGAN_METHODS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@each_network
def test_every_method_trains_every_network_in_both_precisions(network: str, precision: str, method: str) -> None:
    networks = SETTINGS.model_copy(update={"network": network})
    settings = ModelSettings.model_validate({"precision": precision})
    shares, generator = torch.full((7,), 1 / 7), torch.Generator().manual_seed(0)
    model = InfoGan(ModelSetup(METHODS[method], networks, settings, 20, 3, shares, generator))
    before = _weights(model)
    images = torch.rand(6, 3, 20, 20, generator=generator) * 2 - 1
    losses = [model.train_step(images, images.flip(3), generator) for _ in range(2)][-1]
    assert all(torch.isfinite(loss) for loss in losses.values())
    moved = [name for name, weight in _weights(model).items() if not torch.equal(weight, before[name])]
    trained = {name for name in before if not name.startswith("prior")}
    assert trained <= set(moved)
    assert {weight.dtype for weight in before.values()} == {torch.float32}


def _weights(model: InfoGan) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": weight.detach().clone()
        for name, module in model.modules().items()
        for key, weight in module.named_parameters()
    }


@each_network
def test_an_evaluation_neither_moves_the_model_nor_depends_on_the_batch(network: str) -> None:
    networks = SETTINGS.model_copy(update={"network": network})
    generator = torch.Generator().manual_seed(0)
    setup = ModelSetup(METHODS["uniform-infogan"], networks, ModelSettings(), 16, 1, None, generator)
    model = InfoGan(setup)
    images = torch.rand(6, 1, 16, 16, generator=generator) * 2 - 1
    model.train_step(images, images, generator)
    state = {f"{n}.{k}": v.clone() for n, m in model.modules().items() for k, v in m.state_dict().items()}
    logits = model.category_logits(images)
    model.generate(torch.arange(3), torch.randn(3, 5))
    torch.testing.assert_close(model.category_logits(images[:1]), logits[:1])
    assert all(torch.equal(state[f"{n}.{k}"], v) for n, m in model.modules().items() for k, v in m.state_dict().items())


@pytest.mark.parametrize(("size", "name"), [(8, "infogan"), (28, "infogan"), (32, "dcgan"), (64, "dcgan")])
def test_auto_is_by_the_size_and_a_name_is_taken_as_it_is(size: int, name: str) -> None:
    assert network_for(AUTO, size).name == name
    assert [network_for(row, size).name for row in NETWORKS] == list(NETWORKS)


def test_pyramid_halves_to_four_at_most_and_has_half_the_channels_at_each_doubling() -> None:
    assert pyramid(32, 64) == ([32, 16, 8, 4], [48, 96, 192])
    assert pyramid(64, 64) == ([64, 32, 16, 8, 4], [16, 48, 96, 192])
    assert pyramid(28, 8) == ([28, 14, 7, 4], [6, 12, 24])
    for size in range(8, 257, 4):
        sides, widths = pyramid(size, 16)
        assert sides[-1] in (3, 4)
        assert len(widths) == len(sides) - 1
        assert widths[-1] == 48
        assert min(widths) >= 4


def test_dcgan_and_resnet_have_few_weights_at_any_size_where_infogan_has_millions() -> None:
    def millions(network: str, size: int) -> float:
        networks = make(network, size, 3, NetworkSettings())
        return sum(p.numel() for m in (networks.generator(), networks.front_end()) for p in m.parameters()) / 1e6

    assert millions("infogan", 64) > 60
    assert max(millions("resnet", 64), millions("resnet", 128), millions("dcgan", 128)) < 3
    # With a fully connected layer. A checkpoint has 16 bytes of each, with its average and Adam's two moments: 80 MB.
    assert millions("dcgan", 64) < 5


def test_a_network_is_one_file_and_its_row() -> None:
    shared = {"__init__", "base", "spectral_norm"}
    assert {file.stem for file in Path(networks_base.__file__).parent.glob("*.py")} - shared == set(NETWORKS)


@each_network
def test_row_says_whether_the_front_end_normalises_batches(network: str) -> None:
    front_end = make(network).front_end()
    normalises = any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in front_end.modules())
    assert NETWORKS[network].batch_norm_in_front_end == normalises
    assert getattr(front_end, "normalises_batches", True) == normalises
