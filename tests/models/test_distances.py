"""The distances against their formulas, written as loops over images and categories in plain Python floats, and their
table."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from eig_tune.models.distances import (
    DISTANCES,
    Distance,
    DistanceSettings,
    QOutput,
    cosine_distance,
    js_divergence,
    l2_distance,
    nt_xent,
)

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


FORMULAS: list[tuple[Loss, NaiveLoss]] = [
    (l2_distance, naive_l2),
    (cosine_distance, naive_cosine),
    (js_divergence, naive_js),
]
distances = pytest.mark.parametrize(("ours", "naive"), FORMULAS, ids=["l2", "cosine", "js"])


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
    largest: dict[Loss, float] = {l2_distance: math.sqrt(2), cosine_distance: 1.0, js_divergence: math.log(2)}
    assert distance.item() == pytest.approx(largest[ours], rel=1e-5)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_nt_xent_equals_its_formula(temperature: float) -> None:
    first, second = random_rows(6, 6, 8), random_rows(7, 6, 8)
    expected = naive_nt_xent(first.tolist(), second.tolist(), temperature)
    assert nt_xent(first, second, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_nt_xent_has_the_gradient_of_finite_differences() -> None:
    first, second = random_rows(8, 3, 4).requires_grad_(), random_rows(9, 3, 4).requires_grad_()
    gradients = torch.autograd.grad(nt_xent(first, second, 0.5), (first, second))
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
    expected = nt_xent(first, second, 1.0)
    torch.testing.assert_close(nt_xent(7 * first, 0.1 * second, 1.0), expected)


def test_nt_xent_of_views_that_say_nothing_is_log_of_the_others() -> None:
    same = torch.ones(8, 3)
    assert nt_xent(same, same, 1.0).item() == pytest.approx(math.log(15), rel=1e-5)


def test_nt_xent_keeps_its_precision_under_autocast() -> None:
    """It turns its features into fp32 on purpose; the similarities must not go back to bf16."""
    first, second = random_rows(1, 16, 128).float(), random_rows(2, 16, 128).float()
    expected = nt_xent(first, second, 0.05)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = nt_xent(first, second, 0.05)
    torch.testing.assert_close(under_autocast, expected, rtol=1e-5, atol=0)


def outputs(seed: int) -> QOutput:
    return QOutput(features=random_rows(seed, 5, 8), logits=random_rows(seed + 1))


def naive_distance(name: str, first: QOutput, second: QOutput, temperature: float) -> float:
    if name == "nt_xent":
        return naive_nt_xent(first.features.tolist(), second.features.tolist(), temperature)
    naive = {"l2": naive_l2, "cosine": naive_cosine, "js": naive_js}[name]
    return naive(first.logits.tolist(), second.logits.tolist())


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=list(DISTANCES))
@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_row_takes_what_its_formula_needs(distance: Distance, temperature: float) -> None:
    first, second = outputs(1), outputs(11)
    reached = distance.between(first, second, DistanceSettings(nt_xent_temperature=temperature))
    assert reached.item() == pytest.approx(naive_distance(distance.name, first, second, temperature), rel=1e-5)


def test_a_configuration_may_name_every_row_and_nothing_else() -> None:
    for name in DISTANCES:
        assert DistanceSettings(distance=name).distance == name
    with pytest.raises(ValueError, match="'l2', 'cosine', 'js' or 'nt_xent'"):
        DistanceSettings(distance="l1")


def test_every_parameter_is_a_field_of_the_settings() -> None:
    names = {name for distance in DISTANCES.values() for name in distance.parameters.values()}
    assert {"distance", *names} == set(DistanceSettings.model_fields)
