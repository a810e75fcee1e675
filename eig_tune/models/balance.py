"""The weight of Q's objective beside D's loss in the trunk that both train.

Shape suffixes: M trunks of T numbers each.
"""

import torch
from torch import Tensor, nn

_DECAY = 0.99
_SMALLEST = 1e-30  # of a gradient's squared length; less is no gradient at all


class GradientBalance(nn.Module):
    """The factor by which Q's gradient at the trunks is about as long as D's, whatever the λs are.

    One Adam moves the front end by the sum of both, in which the longer one would drown the other: without a factor D
    learns next to nothing at first, and images emerge later. After the adaptive weight of Esser et al. 2021 (arXiv
    2012.09841, equation 7), by moving averages as Adam has them: the lengths of single batches would add noise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("squared_lengths", torch.zeros(2))  # of D's gradient and of Q's; their ratio needs no more

    def forward(self, of_d_MT: Tensor, of_q_MT: Tensor) -> Tensor:
        """The factor, a scalar tensor, after taking in the lengths of this step's gradients."""
        squares = torch.stack([of_d_MT.square().sum(), of_q_MT.square().sum()])
        averages = self.get_buffer("squared_lengths").lerp_(squares, 1 - _DECAY)
        factor: Tensor = (averages[0] / averages[1].clamp(min=_SMALLEST)).sqrt()
        return factor
