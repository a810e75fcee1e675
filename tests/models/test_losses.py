"""The losses against their formulas, written as loops over images and categories in plain Python floats."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from eig_tune.models import losses

Rows = Sequence[Sequence[float]]
Loss = Callable[[Tensor, Tensor], Tensor]
NaiveLoss = Callable[[Rows, Rows], float]


def random_rows(seed: int, rows: int = 5, columns: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def probabilities(logits: Sequence[float]) -> list[float]:
    total = sum(math.exp(logit) for logit in logits)
    return [math.exp(logit) / total for logit in logits]


def naive_l2(first: Rows, second: Rows) -> float:
    total = 0.0
    for row, other in zip(first, second, strict=True):
        total += math.sqrt(sum((p - q) ** 2 for p, q in zip(probabilities(row), probabilities(other), strict=True)))
    return total / len(first)


def naive_cosine(first: Rows, second: Rows) -> float:
    total = 0.0
    for row, other in zip(first, second, strict=True):
        p_row, q_row = probabilities(row), probabilities(other)
        dot = sum(p * q for p, q in zip(p_row, q_row, strict=True))
        total += 1 - dot / math.sqrt(sum(p * p for p in p_row) * sum(q * q for q in q_row))
    return total / len(first)


def naive_js(first: Rows, second: Rows) -> float:
    total = 0.0
    for row, other in zip(first, second, strict=True):
        for p, q in zip(probabilities(row), probabilities(other), strict=True):
            mean = (p + q) / 2
            total += 0.5 * p * math.log(p / mean) + 0.5 * q * math.log(q / mean)
    return total / len(first)


def naive_nt_xent(first: Rows, second: Rows, temperature: float) -> float:
    views = [*first, *second]
    units = [[x / math.sqrt(sum(y * y for y in view)) for x in view] for view in views]
    total = 0.0
    for index, unit in enumerate(units):
        partner = (index + len(first)) % len(units)
        exponents = {
            other: math.exp(sum(x * y for x, y in zip(unit, units[other], strict=True)) / temperature)
            for other in range(len(units))
            if other != index
        }
        total -= math.log(exponents[partner] / sum(exponents.values()))
    return total / len(units)


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


DISTANCES: list[tuple[Loss, NaiveLoss]] = [
    (losses.l2_distance, naive_l2),
    (losses.cosine_distance, naive_cosine),
    (losses.js_divergence, naive_js),
]
distances = pytest.mark.parametrize(("ours", "naive"), DISTANCES, ids=["l2", "cosine", "js"])


@distances
def test_distance_equals_its_formula(ours: Loss, naive: NaiveLoss) -> None:
    first, second = random_rows(1), random_rows(2)
    assert ours(first, second).item() == pytest.approx(naive(first.tolist(), second.tolist()), rel=1e-7)


@distances
def test_distance_has_the_gradient_of_finite_differences(ours: Loss, naive: NaiveLoss) -> None:
    first, second = random_rows(3).requires_grad_(), random_rows(4).requires_grad_()
    assert torch.autograd.gradcheck(ours, (first, second))


@distances
def test_distance_of_equal_predictions_is_zero_with_a_finite_gradient(ours: Loss, naive: NaiveLoss) -> None:
    logits = random_rows(5).float().requires_grad_()
    distance = ours(logits, logits.detach().clone())
    (gradient,) = torch.autograd.grad(distance, logits)
    assert distance.item() == pytest.approx(0, abs=2e-6)
    assert gradient.isfinite().all()


@distances
def test_distance_of_sure_and_opposite_predictions_is_finite(ours: Loss, naive: NaiveLoss) -> None:
    first = torch.tensor([[200.0, -200.0]], requires_grad=True)
    distance = ours(first, -first.detach())
    (gradient,) = torch.autograd.grad(distance, first)
    largest: dict[Loss, float] = {
        losses.l2_distance: math.sqrt(2),
        losses.cosine_distance: 1.0,
        losses.js_divergence: math.log(2),
    }
    assert distance.item() == pytest.approx(largest[ours], rel=1e-5)
    assert gradient.isfinite().all()


def test_every_distance_of_the_configuration_exists() -> None:
    assert set(losses.PROBABILITY_DISTANCES) | {"nt_xent"} == set(losses.Distance.__args__)  # type: ignore[attr-defined]
    assert losses.PROBABILITY_DISTANCES["js"] is losses.js_divergence


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_nt_xent_equals_its_formula(temperature: float) -> None:
    first, second = random_rows(6, 6, 8), random_rows(7, 6, 8)
    expected = naive_nt_xent(first.tolist(), second.tolist(), temperature)
    assert losses.nt_xent(first, second, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_nt_xent_has_the_gradient_of_finite_differences() -> None:
    first, second = random_rows(8, 3, 4).requires_grad_(), random_rows(9, 3, 4).requires_grad_()
    gradients = torch.autograd.grad(losses.nt_xent(first, second, 0.5), (first, second))
    both = torch.cat([first, second]).tolist()
    for row, column in ((row, column) for row in range(6) for column in range(4)):
        reached = []
        for step in (1e-6, -1e-6):
            both[row][column] += step
            reached.append(naive_nt_xent(both[:3], both[3:], 0.5))
            both[row][column] -= step
        expected = (reached[0] - reached[1]) / 2e-6
        assert torch.cat(gradients)[row, column].item() == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_nt_xent_does_not_depend_on_the_length_of_features() -> None:
    first, second = random_rows(1), random_rows(2)
    expected = losses.nt_xent(first, second, 1.0)
    torch.testing.assert_close(losses.nt_xent(7 * first, 0.1 * second, 1.0), expected)


def test_nt_xent_of_views_that_say_nothing_is_log_of_the_others() -> None:
    same = torch.ones(8, 3)
    assert losses.nt_xent(same, same, 1.0).item() == pytest.approx(math.log(15), rel=1e-5)


def test_nt_xent_keeps_its_precision_under_autocast() -> None:
    """It turns its features into fp32 on purpose; the similarities must not go back to bf16."""
    first, second = random_rows(1, 16, 128).float(), random_rows(2, 16, 128).float()
    expected = losses.nt_xent(first, second, 0.05)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = losses.nt_xent(first, second, 0.05)
    torch.testing.assert_close(under_autocast, expected, rtol=1e-5, atol=0)


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
