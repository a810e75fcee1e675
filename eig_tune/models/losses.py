"""The losses of the paper, one short function each.

Ojha et al., Elastic-InfoGAN (arXiv 1910.01112): min_{G,Q} max_D V_GAN − λ1·L1 + λ2·L_trans + λ3·L_ent.
All entropies are in nats; every loss is the mean over the batch, a scalar tensor.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, log_softmax, normalize, softplus

Distance = Literal["l2", "cosine", "js", "nt_xent"]


def discriminator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """−V_GAN for D: −E[log D(x)] − E[log(1 − D(G(z, c)))] (Goodfellow et al. 2014)."""
    return softplus(-real_logits_N).mean() + softplus(fake_logits_N).mean()


def generator_loss(fake_logits_N: Tensor) -> Tensor:
    """V_GAN for G, non-saturating: −E[log D(G(z, c))] (Goodfellow et al. 2014)."""
    return softplus(-fake_logits_N).mean()


def mutual_information(logits_NK: Tensor, code_NK: Tensor, prior_K: Tensor) -> Tensor:
    """L1 = E[log Q(c|x)] + H(c), a lower bound of I(c; G(z, c)) (Chen et al. 2016, equation 5)."""
    return (code_NK * log_softmax(logits_NK, dim=1)).sum(dim=1).mean() + entropy_of(prior_K)


def entropy(logits_NK: Tensor) -> Tensor:
    """s(Q(c|x)) = −Σ_k Q_k log Q_k, averaged over the batch; L_ent adds it for x and for x'."""
    log_q_NK = log_softmax(logits_NK, dim=1)
    return -(log_q_NK.exp() * log_q_NK).sum(dim=1).mean()


def entropy_of(probabilities_K: Tensor) -> Tensor:
    """H(p) = −Σ_k p_k log p_k, with 0·log 0 = 0."""
    nats: Tensor = torch.special.entr(probabilities_K).sum()
    return nats


def l2_distance(logits_NK: Tensor, other_NK: Tensor) -> Tensor:
    """Euclidean distance ‖Q(c|x) − Q(c|x')‖ of the two probability vectors."""
    difference_NK = logits_NK.softmax(dim=1) - other_NK.softmax(dim=1)
    return torch.sqrt(difference_NK.square().sum(dim=1) + 1e-12).mean()


def cosine_distance(logits_NK: Tensor, other_NK: Tensor) -> Tensor:
    """1 − cos(Q(c|x), Q(c|x'))."""
    return 1 - cosine_similarity(logits_NK.softmax(dim=1), other_NK.softmax(dim=1), dim=1).mean()


def js_divergence(logits_NK: Tensor, other_NK: Tensor) -> Tensor:
    """Jensen–Shannon divergence of Q(c|x) and Q(c|x'), in nats, at most log 2 (Lin 1991)."""
    log_p_NK, log_q_NK = log_softmax(logits_NK, dim=1), log_softmax(other_NK, dim=1)
    log_mean_NK = torch.logaddexp(log_p_NK, log_q_NK) - torch.log(torch.tensor(2.0))
    kl_p = (log_p_NK.exp() * (log_p_NK - log_mean_NK)).sum(dim=1)
    kl_q = (log_q_NK.exp() * (log_q_NK - log_mean_NK)).sum(dim=1)
    return (kl_p + kl_q).mean() / 2


def nt_xent(features_NF: Tensor, other_NF: Tensor, temperature: float) -> Tensor:
    """Normalised-temperature cross entropy of two views of a batch (Chen et al., SimCLR, 2020, equation 1).

    Each of the 2N unit vectors must pick its other view among the 2N − 1 others by cosine / temperature.
    """
    both = normalize(torch.cat([features_NF, other_NF]).float(), dim=1)
    with torch.autocast(both.device.type, enabled=False):  # bf16 is too coarse for a small temperature
        similarity = both @ both.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), -torch.inf)
    partner = torch.arange(len(both), device=both.device).roll(len(features_NF))
    return cross_entropy(similarity, partner)


PROBABILITY_DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": l2_distance,
    "cosine": cosine_distance,
    "js": js_divergence,
}
