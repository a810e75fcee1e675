"""Spectral normalisation against the singular values themselves."""

import pytest
import torch
from torch import nn

from eig_tune.models.networks.spectral_norm import PowerIteration, SpectralConv2d, SpectralLinear


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def largest_singular_value(weight: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.flatten(1), ord=2))


@pytest.mark.parametrize("shape", [(8, 5), (4, 6, 3, 3), (1, 7)])
def test_largest_singular_value_comes_to_one(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, generator=seeded())
    norm = PowerIteration(weight)
    norm.start(weight, seeded(1))
    for _ in range(200):
        normalised = norm(weight)
    assert largest_singular_value(normalised) == pytest.approx(1, abs=1e-4)


def test_gradient_is_that_of_the_weight_over_its_largest_singular_value() -> None:
    weight = torch.randn(6, 4, dtype=torch.float64, generator=seeded()).requires_grad_()
    norm = PowerIteration(weight).double()
    norm.start(weight, seeded(1))
    for _ in range(500):
        norm.iterate(weight)
    target = torch.randn(6, 4, dtype=torch.float64, generator=seeded(2))
    (ours,) = torch.autograd.grad((norm(weight) * target).sum(), weight)
    (exact,) = torch.autograd.grad((weight / torch.linalg.matrix_norm(weight, ord=2) * target).sum(), weight)
    torch.testing.assert_close(ours, exact)


def test_an_evaluation_does_not_move_the_vectors_and_takes_averages_of_any_length() -> None:
    weight = torch.randn(6, 4, generator=seeded())
    norm = PowerIteration(weight)
    norm.start(weight, seeded(1))
    norm.eval()
    before, expected = {name: value.clone() for name, value in norm.state_dict().items()}, norm(weight)
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    norm.get_buffer("left").mul_(0.3)
    norm.get_buffer("right").mul_(0.7)
    torch.testing.assert_close(norm(weight), expected)


def test_training_goes_on_through_several_passes_before_one_backward_pass() -> None:
    layer = SpectralLinear(5, 3)
    layer.norm.start(layer.weight, seeded())
    total = sum(layer(torch.randn(2, 5)).square().sum() for _ in range(3))
    assert isinstance(total, torch.Tensor)
    total.backward()  # which needs the vectors of every pass as they were
    assert layer.weight.grad is not None


@pytest.mark.parametrize("made", [lambda: SpectralLinear(12, 8), lambda: SpectralConv2d(3, 8, 3)])
def test_norm_is_exact_to_float32_under_autocast(made: "type[nn.Module]") -> None:
    layer = made()
    assert isinstance(layer, SpectralLinear | SpectralConv2d)
    layer.norm.start(layer.weight, seeded())
    layer.eval()
    plain = layer.norm(layer.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.norm(layer.weight), plain)
