"""Priors: the frequencies of their codes, and the gradients that reach a learned one."""

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from eig_tune.models.prior import FixedPrior, FollowingPrior, LearnedPrior, gumbel_softmax

SKEWED = torch.tensor([0.05, 0.1, 0.15, 0.3, 0.4])
COUNT = 20_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def learned(probabilities_K: Tensor, tau: float) -> LearnedPrior:
    prior = LearnedPrior(len(probabilities_K), tau)
    with torch.no_grad():
        prior.logits.copy_(probabilities_K.log() + 3.0)  # logits may be off by any constant
    return prior


def p_value(code_NK: Tensor, probabilities_K: Tensor) -> float:
    """Of the hypothesis that the argmax of the codes has these probabilities."""
    counts = code_NK.argmax(dim=1).bincount(minlength=len(probabilities_K)).double()
    expected = probabilities_K.double() / probabilities_K.double().sum() * len(code_NK)
    return float(chisquare(counts.numpy(), expected.numpy()).pvalue)


@pytest.mark.parametrize("tau", [0.05, 0.5, 5.0])
def test_largest_entry_of_a_soft_code_follows_the_prior_at_every_temperature(tau: float) -> None:
    code = learned(SKEWED, tau).sample(COUNT, seeded()).detach()
    assert p_value(code, SKEWED) > 0.01
    assert p_value(code, torch.tensor([0.06, 0.11, 0.15, 0.29, 0.39])) < 1e-4, "the test must see a small bias"


def test_fixed_prior_draws_with_its_probabilities() -> None:
    code = FixedPrior(SKEWED).sample(COUNT, seeded())
    assert p_value(code, SKEWED) > 0.01


def test_fixed_codes_are_one_hot() -> None:
    code = FixedPrior(SKEWED).sample(100, seeded())
    assert code.dtype == torch.float32
    assert code.shape == (100, 5)
    torch.testing.assert_close(code.sum(dim=1), torch.ones(100))
    assert set(code.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("tau", [0.01, 0.3, 10.0])
def test_soft_codes_are_distributions(tau: float) -> None:
    code = learned(SKEWED, tau).sample(1000, seeded()).detach()
    assert code.shape == (1000, 5)
    assert code.isfinite().all()
    assert (code >= 0).all()
    torch.testing.assert_close(code.sum(dim=1), torch.ones(1000))


def test_temperature_runs_from_one_hot_to_uniform() -> None:
    largest = [learned(SKEWED, tau).sample(500, seeded()).amax(dim=1).mean().item() for tau in (0.01, 0.5, 100.0)]
    assert largest[0] > 0.98
    assert largest[0] > largest[1] > largest[2]
    assert largest[2] < 0.22


def test_every_image_has_a_code_of_its_own() -> None:
    code = learned(SKEWED, 1.0).sample(50, seeded()).detach()
    assert len(code.unique(dim=0)) == 50


def test_gumbel_softmax_equals_its_formula() -> None:
    log_p = SKEWED.log().expand(30, -1)
    exponential = torch.empty(30, 5).exponential_(generator=seeded())
    gumbel = -exponential.log()
    expected = torch.stack([((log_p[n] + gumbel[n]) / 0.7).exp() for n in range(30)])
    expected /= expected.sum(dim=1, keepdim=True)
    torch.testing.assert_close(gumbel_softmax(log_p, 0.7, seeded()), expected)


@pytest.mark.parametrize("make", [lambda: FixedPrior(SKEWED), lambda: learned(SKEWED, 0.5)])
def test_generator_decides_the_codes_and_global_random_numbers_are_left_alone(make: object) -> None:
    prior = make()  # type: ignore[operator]
    before = torch.get_rng_state()
    first = prior.sample(20, seeded(1))
    assert torch.equal(first, prior.sample(20, seeded(1)))
    assert not torch.equal(first, prior.sample(20, seeded(2)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("tau", [0.3, 1.0])
def test_gradient_to_the_logits_equals_finite_differences_under_common_random_numbers(tau: float) -> None:
    """Monte Carlo estimates of d/dlogits E[f(code)], both from the same 500 Gumbel draws."""
    prior = learned(SKEWED, tau).double()
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0], dtype=torch.float64)

    def estimate() -> Tensor:
        return (prior.sample(500, seeded(3)) @ weights).square().mean()

    (gradient,) = torch.autograd.grad(estimate(), prior.logits)
    differences = []
    for k in range(len(SKEWED)):
        reached = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                prior.logits[k] += step
                reached.append(estimate().item())
                prior.logits[k] -= step
        differences.append((reached[0] - reached[1]) / 2e-5)
    torch.testing.assert_close(gradient, torch.tensor(differences, dtype=torch.float64), rtol=1e-5, atol=1e-7)
    assert gradient.abs().min() > 1e-3, "a gradient of zeros would prove nothing"


def test_cold_gradient_tends_to_that_of_the_exact_expectation() -> None:
    """For f linear, d/dlogits_k Σ p_j w_j = p_k (w_k − Σ p_j w_j); the relaxation's bias vanishes with τ."""
    prior = learned(SKEWED, 0.1).double()
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad((prior.sample(100_000, seeded()) @ weights).mean(), prior.logits)
    p = SKEWED.double()
    torch.testing.assert_close(gradient, p * (weights - p @ weights), rtol=0, atol=0.04)


def test_learned_prior_is_uniform_at_first_and_has_one_parameter() -> None:
    prior = LearnedPrior(7, 0.1)
    torch.testing.assert_close(prior.probabilities().detach(), torch.full((7,), 1 / 7))
    assert [tuple(p.shape) for p in prior.parameters()] == [(7,)]


def test_fixed_prior_has_nothing_to_learn_but_is_saved() -> None:
    prior = FixedPrior(SKEWED.double())
    assert list(prior.parameters()) == []
    assert list(prior.state_dict()) == ["fixed"]
    torch.testing.assert_close(prior.probabilities(), SKEWED)


def following(share: float, warmup_steps: int) -> FollowingPrior:
    return FollowingPrior(len(SKEWED), 0.1, straight_through=False, share=share, warmup_steps=warmup_steps)


def test_following_prior_goes_a_share_of_the_way_at_each_step() -> None:
    prior, uniform = following(share=0.25, warmup_steps=0), torch.full((5,), 0.2)
    prior.follow(SKEWED)
    torch.testing.assert_close(prior.probabilities().detach(), 0.75 * uniform + 0.25 * SKEWED)
    prior.follow(SKEWED)
    torch.testing.assert_close(prior.probabilities().detach(), 0.5625 * uniform + 0.4375 * SKEWED)


def test_following_prior_is_uniform_in_its_first_steps_and_counts_them_in_its_state() -> None:
    prior = following(share=0.25, warmup_steps=3)
    for _ in range(2):
        prior.follow(SKEWED)
    resumed = following(share=0.25, warmup_steps=3)
    resumed.load_state_dict(prior.state_dict())
    resumed.follow(SKEWED)
    torch.testing.assert_close(resumed.probabilities().detach(), torch.full((5,), 0.2))
    resumed.follow(SKEWED)
    torch.testing.assert_close(resumed.probabilities().detach(), 0.75 * 0.2 + 0.25 * SKEWED)


def test_state_of_a_prior_that_counts_nothing_is_its_logits_alone() -> None:
    """So that models of earlier versions load."""
    assert [*following(share=0.25, warmup_steps=0).state_dict()] == ["logits"]
