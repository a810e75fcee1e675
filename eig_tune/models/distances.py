"""The distances d of L_trans = d(Q(c|x), Q(c|x')), one row of a table each: its formula, and the settings it takes.

To add one, write its formula, its row in ``DISTANCES``, and a field of ``DistanceSettings`` for each parameter that it
has. Each distance is the mean over the batch, a scalar tensor. PyTorch is imported only where one is computed, since
reading a space needs no more than their names.

Shape suffixes: N images, K categories, F features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from eig_tune.schema import Section

if TYPE_CHECKING:
    from torch import Tensor


class QOutput(NamedTuple):
    """What Q makes of a batch: the features under its last layer [N, F], and the category logits [N, K]."""

    features: Tensor
    logits: Tensor


def l2_distance(logits_NK: Tensor, other_NK: Tensor) -> Tensor:
    """Euclidean distance ‖Q(c|x) − Q(c|x')‖ of the two probability vectors."""
    difference_NK = logits_NK.softmax(dim=1) - other_NK.softmax(dim=1)
    return (difference_NK.square().sum(dim=1) + 1e-12).sqrt().mean()


def cosine_distance(logits_NK: Tensor, other_NK: Tensor) -> Tensor:
    """1 − cos(Q(c|x), Q(c|x'))."""
    from torch.nn.functional import cosine_similarity

    return 1 - cosine_similarity(logits_NK.softmax(dim=1), other_NK.softmax(dim=1), dim=1).mean()


def js_divergence(logits_NK: Tensor, other_NK: Tensor) -> Tensor:
    """Jensen–Shannon divergence of Q(c|x) and Q(c|x'), in nats, at most log 2 (Lin 1991)."""
    import torch

    log_p_NK, log_q_NK = logits_NK.log_softmax(dim=1), other_NK.log_softmax(dim=1)
    log_mean_NK = torch.logaddexp(log_p_NK, log_q_NK) - math.log(2)
    kl_p = (log_p_NK.exp() * (log_p_NK - log_mean_NK)).sum(dim=1)
    kl_q = (log_q_NK.exp() * (log_q_NK - log_mean_NK)).sum(dim=1)
    return (kl_p + kl_q).mean() / 2


def nt_xent(features_NF: Tensor, other_NF: Tensor, temperature: float) -> Tensor:
    """Normalised-temperature cross entropy of two views of a batch, in nats (Chen et al., SimCLR, 2020, equation 1).

    Each of the 2N unit vectors must pick its other view among the 2N − 1 others by cosine / temperature.
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    both = normalize(torch.cat([features_NF, other_NF]).float(), dim=1)
    with torch.autocast(both.device.type, enabled=False):  # bf16 is too coarse for a small temperature
        similarity = both @ both.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), -torch.inf)
    partner = torch.arange(len(both), device=both.device).roll(len(features_NF))
    return cross_entropy(similarity, partner)


@dataclass(frozen=True)
class Distance:
    """One distance: its row in the table.

    Attributes:
        compute: its formula; the two outputs come first, parameters by their names.
        compares: which output of Q the formula takes: the category logits, or the features under them.
        source: where the formula comes from.
        parameters: the formula's further arguments, each with the field of :class:`DistanceSettings` that it gets.
    """

    name: str
    compute: Callable[..., Tensor]
    compares: Literal["logits", "features"]
    source: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def between(self, first: QOutput, second: QOutput, settings: DistanceSettings) -> Tensor:
        """The distance of two views of a batch, a scalar; gradients flow to both."""
        arguments = {argument: getattr(settings, name) for argument, name in self.parameters.items()}
        return self.compute(getattr(first, self.compares), getattr(second, self.compares), **arguments)


_ELASTIC = "Ojha et al. 2020, arXiv 1910.01112"

DISTANCES = {
    distance.name: distance
    for distance in (
        Distance("l2", l2_distance, "logits", _ELASTIC),
        Distance("cosine", cosine_distance, "logits", _ELASTIC),
        Distance("js", js_divergence, "logits", "Lin 1991"),
        Distance(
            "nt_xent",
            nt_xent,
            "features",
            "Chen et al. 2020, arXiv 2002.05709, equation 1",
            parameters={"temperature": "nt_xent_temperature"},
        ),
    )
}

if TYPE_CHECKING:
    DistanceName = str
else:
    DistanceName = Literal[tuple(DISTANCES)]


class DistanceSettings(Section):
    """Which distance, and the parameters of those that have any."""

    distance: DistanceName = Field(default="nt_xent", description="the distance d of the transformation loss")
    nt_xent_temperature: float = Field(default=1.0, gt=0, description="temperature by which nt_xent divides cosines")
