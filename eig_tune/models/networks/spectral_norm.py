"""Layers whose weights are divided by their largest singular value, so that no layer stretches what it is given.

Miyato et al. 2018 (arXiv 1802.05957, algorithm 1): the value is followed by one step of power iteration at each pass in
training. Written out instead of taken from PyTorch, where autocast would make these products in bfloat16, and where the
first vectors are drawn from global random numbers.

Shape suffixes: R rows of a weight as a matrix, one per output; L its columns.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

_FIRST_ITERATIONS = 15


class PowerIteration(nn.Module):
    """The singular vectors of a weight's largest singular value, as far as they are known."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows_RL = weight.flatten(1)
        self.register_buffer("left", torch.zeros(rows_RL.shape[0]))
        self.register_buffer("right", torch.zeros(rows_RL.shape[1]))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight divided by its largest singular value; gradients flow through both.

        Outside of training the vectors stay as they are, but for their length, which an average of them has lost.
        """
        weight_RL = weight.flatten(1)
        if self.training:
            left_R, right_L = self.iterate(weight_RL)
        else:
            left_R, right_L = (normalize(self.get_buffer(name), dim=0) for name in ("left", "right"))
        # Not as a product of matrices, which autocast would make in bfloat16.
        largest = (left_R * (weight_RL * right_L).sum(dim=1)).sum()
        normalised: Tensor = weight / largest
        return normalised

    @torch.no_grad()
    def iterate(self, weight_RL: Tensor) -> tuple[Tensor, Tensor]:
        """One step of the iteration; both vectors after it."""
        right_L = normalize((weight_RL * self.get_buffer("left")[:, None]).sum(dim=0), dim=0)
        left_R = normalize((weight_RL * right_L).sum(dim=1), dim=0)
        self.get_buffer("left").copy_(left_R)
        self.get_buffer("right").copy_(right_L)
        return left_R, right_L

    @torch.no_grad()
    def start(self, weight: Tensor, generator: torch.Generator) -> None:
        """Begin at a random vector, some steps ahead."""
        self.get_buffer("left").normal_(generator=generator)
        for _ in range(_FIRST_ITERATIONS):
            self.iterate(weight.flatten(1))


class SpectralConv2d(nn.Conv2d):
    """A convolution of stride 1 that keeps the side, with a normalised weight."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=kernel_size // 2)
        self.norm = PowerIteration(self.weight)

    def forward(self, images: Tensor) -> Tensor:
        convolved: Tensor = self._conv_forward(images, self.norm(self.weight), self.bias)
        return convolved


class SpectralLinear(nn.Linear):
    """A fully connected layer with a normalised weight."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.norm = PowerIteration(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        return linear(features, self.norm(self.weight), self.bias)
