"""The losses of the paper, one short function each; the distances of L_trans are in ``distances``.

Ojha et al., Elastic-InfoGAN (arXiv 1910.01112): min_{G,Q} max_D V_GAN − λ1·L1 + λ2·L_trans + λ3·L_ent.
All entropies are in nats; every loss is the mean over the batch, a scalar tensor.

Shape suffixes: N images, C channels, H and W the side S, K categories.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, relu, softplus

from eig_tune.models.methods import GanLoss


def discriminator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """−V_GAN for D: −E[log D(x)] − E[log(1 − D(G(z, c)))] (Goodfellow et al. 2014)."""
    return softplus(-real_logits_N).mean() + softplus(fake_logits_N).mean()


def generator_loss(fake_logits_N: Tensor) -> Tensor:
    """V_GAN for G, non-saturating: −E[log D(G(z, c))] (Goodfellow et al. 2014)."""
    return softplus(-fake_logits_N).mean()


def hinge_discriminator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z, c)))], of logits (Lim & Ye 2017, arXiv 1705.02894, equation 16)."""
    return relu(1 - real_logits_N).mean() + relu(1 + fake_logits_N).mean()


def hinge_generator_loss(fake_logits_N: Tensor) -> Tensor:
    """−E[D(G(z, c))], of logits: G's side of the hinge loss."""
    return -fake_logits_N.mean()


def r1_penalty(real_logits_N: Tensor, real_NCHW: Tensor) -> Tensor:
    """R1 = E‖∇D(x)‖² / 2 over real images (Mescheder et al. 2018, arXiv 1801.04406, equation 9), without its weight γ.

    Args:
        real_logits_N: computed from ``real_NCHW``, to which gradients flow; the penalty's own flow to D's weights.
    """
    (of_images_NCHW,) = torch.autograd.grad(real_logits_N.sum(), real_NCHW, create_graph=True)
    return of_images_NCHW.square().sum(dim=(1, 2, 3)).mean() / 2


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


GAN_LOSSES: dict[GanLoss, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non-saturating": (discriminator_loss, generator_loss),
    "hinge": (hinge_discriminator_loss, hinge_generator_loss),
}
