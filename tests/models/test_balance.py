"""The balance of D's and Q's gradients: its formula, its state, and what has none."""

import pytest
import torch
from infogan_reference import SETTINGS, images, make, seeded, weights_of

from eig_tune.errors import CheckpointError
from eig_tune.models.balance import GradientBalance
from eig_tune.training import checkpoint


def test_factor_is_the_ratio_of_the_moving_averages_of_lengths() -> None:
    balance = GradientBalance()
    draws = torch.randn(30, 2, 6, 4, generator=seeded())
    squares = draws.square().sum(dim=(2, 3))
    weights = 0.99 ** torch.arange(29, -1, -1)
    factors = [balance(of_d, 5 * of_q) for of_d, of_q in draws]
    d, q = weights @ squares
    torch.testing.assert_close(factors[-1], (d / (25 * q)).sqrt())
    torch.testing.assert_close(factors[0], (squares[0, 0] / squares[0, 1]).sqrt() / 5)


def test_no_gradient_of_q_stays_none() -> None:
    for length in (0.0, 1.0, 1e4):
        of_d, of_q = torch.full((6, 4), length), torch.zeros(6, 4)
        assert torch.equal(GradientBalance()(of_d, of_q) * of_q, of_q)


def test_front_end_is_moved_alike_whatever_all_weights_are_multiplied_by() -> None:
    """The factor takes out what λ1, λ2 and λ3 have in common."""
    trained = {"category_loss_trains_front_end": True}
    scaled = {name: 7 * getattr(SETTINGS, name) for name in ("lambda_1", "lambda_2", "lambda_3")}
    moved = []
    for changes in (trained, {**trained, **scaled}):
        model = make(settings=SETTINGS.model_copy(update=changes))
        before = weights_of(model)["front_end"][0]
        model.train_step(*images(), seeded(1))
        moved.append(weights_of(model)["front_end"][0] - before)
    torch.testing.assert_close(*moved, atol=1e-6, rtol=1e-3)


def test_bundle_of_an_earlier_version_has_no_balance_and_is_read() -> None:
    model, other = make(), make(seed=1)
    model.train_step(*images(), seeded(1))
    tensors = checkpoint.collect(model.modules(), {})
    assert "balance.squared_lengths" in tensors
    del tensors["balance.squared_lengths"]
    checkpoint.distribute(tensors, other.modules(), {})
    for name, weights in weights_of(model).items():
        assert all(torch.equal(*pair) for pair in zip(weights, weights_of(other)[name], strict=True))
    with pytest.raises(CheckpointError, match="does not fit this model"):
        checkpoint.distribute({**tensors, "balance.lengths": torch.zeros(2)}, other.modules(), {})
