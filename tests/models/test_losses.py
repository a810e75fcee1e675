"""The losses against their formulas, written as loops over images and categories in plain Python floats."""

import math
from collections.abc import Sequence
from typing import get_args

import pytest
import torch
from torch import Tensor

from eig_tune.models import losses
from eig_tune.models.methods import GanLoss

Rows = Sequence[Sequence[float]]


def random_rows(seed: int, rows: int = 5, columns: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def probabilities(logits: Sequence[float]) -> list[float]:
    total = sum(math.exp(logit) for logit in logits)
    return [math.exp(logit) / total for logit in logits]


def naive_mutual_information(logits: Rows, codes: Rows, prior: Sequence[float]) -> float:
    total = 0.0
    for row, code in zip(logits, codes, strict=True):
        for weight, q in zip(code, probabilities(row), strict=True):
            total += weight * math.log(q)
    return total / len(logits) - sum(p * math.log(p) for p in prior)


def naive_entropy(logits: Rows) -> float:
    return -sum(q * math.log(q) for row in logits for q in probabilities(row)) / len(logits)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_hinge_losses_equal_their_formulas() -> None:
    real, fake = random_rows(1)[0], random_rows(2)[0]
    of_real = sum(max(0.0, 1 - logit) for logit in real.tolist()) / len(real)
    of_fake = sum(max(0.0, 1 + logit) for logit in fake.tolist()) / len(fake)
    assert losses.hinge_discriminator_loss(real, fake).item() == pytest.approx(of_real + of_fake)
    assert losses.hinge_generator_loss(fake).item() == pytest.approx(-sum(fake.tolist()) / len(fake))


def test_every_gan_loss_that_a_space_may_name_has_its_row() -> None:
    assert tuple(losses.GAN_LOSSES) == get_args(GanLoss)


def test_penalty_is_half_the_squared_slope_of_d_at_real_images() -> None:
    """Of D(x) = w·x² / 2 the slope is w·x, and the gradient of the penalty at w is w·x²."""
    images = random_rows(3, 6, 4).view(6, 1, 2, 2).requires_grad_()
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    penalty = losses.r1_penalty((weight * images.square() / 2).sum(dim=(1, 2, 3)), images)
    squares = images.detach().square().sum(dim=(1, 2, 3)).mean()
    assert penalty.item() == pytest.approx(0.7**2 * squares.item() / 2)
    penalty.backward()
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(0.7 * squares.item())


def test_mutual_information_equals_its_formula() -> None:
    logits, code, prior = random_rows(1), random_rows(2).softmax(dim=1), random_rows(3)[0].softmax(dim=0)
    expected = naive_mutual_information(logits.tolist(), code.tolist(), prior.tolist())
    assert losses.mutual_information(logits, code, prior).item() == pytest.approx(expected, rel=1e-9)


def test_mutual_information_has_the_gradient_of_finite_differences() -> None:
    inputs = (random_rows(1), random_rows(2).softmax(dim=1), random_rows(3)[0].softmax(dim=0))
    assert torch.autograd.gradcheck(losses.mutual_information, [tensor.requires_grad_() for tensor in inputs])


def test_mutual_information_of_a_sure_and_right_guess_is_the_entropy_of_the_prior() -> None:
    code = torch.eye(4)
    prior = torch.tensor([0.1, 0.2, 0.3, 0.4])
    expected = -sum(p * math.log(p) for p in prior.tolist())
    assert losses.mutual_information(100 * code, code, prior).item() == pytest.approx(expected, rel=1e-6)


def test_mutual_information_of_an_uninformed_guess_under_a_uniform_prior_is_zero() -> None:
    reached = losses.mutual_information(torch.zeros(4, 4), torch.eye(4), torch.full((4,), 0.25))
    assert reached.item() == pytest.approx(0, abs=1e-6)


def test_entropy_equals_its_formula() -> None:
    logits = random_rows(1)
    assert losses.entropy(logits).item() == pytest.approx(naive_entropy(logits.tolist()), rel=1e-9)


def test_entropy_has_the_gradient_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(losses.entropy, random_rows(2).requires_grad_())


@pytest.mark.parametrize("categories", [2, 10, 100])
def test_entropy_of_uniform_predictions_is_log_of_their_number(categories: int) -> None:
    assert losses.entropy(torch.ones(3, categories)).item() == pytest.approx(math.log(categories), rel=1e-6)
    uniform = torch.full((categories,), 1 / categories)
    assert losses.entropy_of(uniform).item() == pytest.approx(math.log(categories), rel=1e-6)


def test_entropy_of_sure_predictions_is_zero_with_a_finite_gradient() -> None:
    logits = (1000 * torch.eye(4)).requires_grad_()
    entropy = losses.entropy(logits)
    (gradient,) = torch.autograd.grad(entropy, logits)
    assert entropy.item() == 0
    assert gradient.isfinite().all()
    assert losses.entropy_of(torch.tensor([0.0, 1.0, 0.0])).item() == 0


def test_discriminator_loss_equals_its_formula() -> None:
    real, fake = random_rows(1)[:, 0], random_rows(2)[:3, 0]
    expected = -sum(math.log(sigmoid(x)) for x in real.tolist()) / len(real)
    expected -= sum(math.log(1 - sigmoid(x)) for x in fake.tolist()) / len(fake)
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(expected, rel=1e-9)


def test_generator_loss_equals_its_formula() -> None:
    fake = random_rows(1)[:, 0]
    expected = -sum(math.log(sigmoid(x)) for x in fake.tolist()) / len(fake)
    assert losses.generator_loss(fake).item() == pytest.approx(expected, rel=1e-9)


def test_adversarial_losses_have_the_gradient_of_finite_differences() -> None:
    real, fake = random_rows(1)[:, 0].requires_grad_(), random_rows(2)[:, 0].requires_grad_()
    assert torch.autograd.gradcheck(losses.discriminator_loss, (real, fake))
    assert torch.autograd.gradcheck(losses.generator_loss, fake)


def test_adversarial_losses_stay_finite_when_the_discriminator_is_sure() -> None:
    sure = torch.tensor([500.0])
    assert losses.discriminator_loss(-sure, sure).item() == 1000
    assert losses.generator_loss(-sure).item() == 500
    assert losses.discriminator_loss(sure, -sure).item() == 0
