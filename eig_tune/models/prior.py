"""The prior over categories: fixed, learned through the Gumbel-softmax, or following the posterior.

Jang et al. (arXiv 1611.01144) and Maddison et al. (arXiv 1611.00712): a sample of the relaxed categorical
distribution is softmax((log p + g) / τ), g standard Gumbel noise; gradients reach the logits of p.

Shape suffixes: N codes, K categories.
"""

import torch
from torch import Tensor, nn

from eig_tune.models.base import ModelSetup


class FixedPrior(nn.Module):
    """A prior that training does not move; its codes are one-hot."""

    def __init__(self, probabilities_K: Tensor) -> None:
        super().__init__()
        self.register_buffer("fixed", probabilities_K.float())

    def probabilities(self) -> Tensor:
        """Class probabilities p, shape [K]."""
        return self.get_buffer("fixed")

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """One-hot codes [N, K] drawn from p."""
        fixed_K = self.probabilities()
        drawn = torch.multinomial(fixed_K, count, replacement=True, generator=generator)
        return one_hot(drawn, len(fixed_K))


class LearnedPrior(nn.Module):
    """A prior with learned logits, uniform at first; its codes are Gumbel-softmax samples.

    Args:
        straight_through: codes are one-hot, with the gradients of the soft ones.
    """

    def __init__(self, categories: int, tau: float, straight_through: bool = False) -> None:
        super().__init__()
        self.straight_through = straight_through
        self.logits = nn.Parameter(torch.zeros(categories))
        self.tau = tau

    def probabilities(self) -> Tensor:
        """Class probabilities p = softmax(logits), shape [K]; gradients flow."""
        return self.logits.softmax(dim=0)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes [N, K] at temperature τ; gradients flow to the logits."""
        soft_NK = gumbel_softmax(self.logits.log_softmax(dim=0).expand(count, -1), self.tau, generator)
        if not self.straight_through:
            return soft_NK
        hard_NK = one_hot(soft_NK.argmax(dim=1), len(self.logits))
        return hard_NK - soft_NK.detach() + soft_NK


class FollowingPrior(LearnedPrior):
    """A learned prior that moves towards the posterior, the mean of Q(c|x) over real images, in place of by a gradient.

    Args:
        share: of the way from prior to posterior that a step goes.
        warmup_steps: first steps, in which it stays uniform. A prior that follows from the start makes a category rarer
            of which Q does not see enough yet, so that G draws less of it and Q learns less of it again.
    """

    def __init__(self, categories: int, tau: float, straight_through: bool, share: float, warmup_steps: int) -> None:
        super().__init__(categories, tau, straight_through)
        self.share, self.warmup_steps = share, warmup_steps
        # A tensor, as a replay of a CUDA graph counts too. With nothing to count it is none, as in earlier versions.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64) if warmup_steps else None)

    @torch.no_grad()
    def follow(self, posterior_K: Tensor) -> None:
        """One step towards the posterior, shape [K]."""
        before_K = self.probabilities()
        if self.warmup_steps:
            warming_up = self.get_buffer("steps").add_(1) <= self.warmup_steps
            posterior_K = torch.where(warming_up, before_K, posterior_K)
        self.logits.copy_(torch.lerp(before_K, posterior_K, self.share).log())


Prior = FixedPrior | LearnedPrior


def make_prior(setup: ModelSetup) -> Prior:
    """The prior of the method's row.

    Raises:
        ValueError: the row's prior is given, and the setup does not have the share of each class.
    """
    method, settings = setup.method, setup.settings
    categories, shares_K = setup.networks.categories, setup.class_distribution_K
    if method.prior == "learned":
        how = (categories, settings.tau, settings.straight_through)
        if settings.prior_update == "posterior":
            return FollowingPrior(*how, settings.prior_lr, settings.prior_warmup_steps)
        return LearnedPrior(*how)
    if method.prior == "uniform":
        return FixedPrior(torch.full((categories,), 1 / categories))
    if shares_K is None or len(shares_K) != categories:
        raise ValueError(f"{method.name} needs the share of each of its {categories} classes")
    return FixedPrior(shares_K)


def one_hot(categories_N: Tensor, count: int) -> Tensor:
    """Codes [N, K] in float; unlike PyTorch's function, this one does not wait for the device to check its input."""
    return (categories_N[:, None] == torch.arange(count, device=categories_N.device)).float()


def gumbel_softmax(log_p_NK: Tensor, tau: float, generator: torch.Generator) -> Tensor:
    """Samples [N, K] of the relaxed categorical distribution with log-probabilities ``log_p_NK``."""
    noise_NK = torch.empty_like(log_p_NK).exponential_(generator=generator).log().neg()
    return ((log_p_NK + noise_NK) / tau).softmax(dim=1)
