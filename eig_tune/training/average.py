"""The exponential moving average of a model's weights, which is what is evaluated, sampled from and exported.

A GAN's weights circle around a good point rather than settle in it; their average lies nearer to it, and moves less
from one report to the next (Yazıcı et al. 2019, arXiv 1806.04498). Statistics of batch normalisation are averaged too.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from eig_tune.models.base import Model


class WeightAverage:
    """The averages of every weight and statistic of a model, in a second model of the same shape.

    Args:
        live: the model that is trained.
        model: another one of the same setup; its weights are overwritten.
        decay: by which the average forgets at each step; less in the first steps, when all is still to be learned.
    """

    def __init__(self, live: Model, model: Model, decay: float) -> None:
        self.model = model
        self._live = live
        self._decay = decay
        pairs = list(_pairs(model.modules(), live.modules()))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]
        self.restart()

    @torch.no_grad()
    def restart(self) -> None:
        """Begin anew at the weights as they are."""
        for average, now in (*self._floats, *self._counters):
            average.copy_(now)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after ``step`` steps of training."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averages, live = zip(*self._floats, strict=True)
        torch._foreach_lerp_(averages, live, 1 - decay)
        for average, now in self._counters:
            average.copy_(now)


def _pairs(averages: Mapping[str, nn.Module], live: Mapping[str, nn.Module]) -> Iterator[tuple[Tensor, Tensor]]:
    """Every weight and buffer of the one with that of the other."""
    for name, module in averages.items():
        ours, theirs = module.state_dict(keep_vars=True), live[name].state_dict(keep_vars=True)
        yield from ((ours[key], theirs[key]) for key in ours)
