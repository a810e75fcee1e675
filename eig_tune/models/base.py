"""What a model is: the protocol that training, evaluation, checkpoints and export rely on, and what it is made from.

Shape suffixes: N images, C channels, H and W the side S, D noise numbers, K categories.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from eig_tune.models.methods import Method, ModelSettings, NetworkSettings


@dataclass(frozen=True)
class ModelSetup:
    """What a model is made from.

    Attributes:
        method: the row that says which prior and which losses it has.
        networks: the shape of its networks.
        settings: its weights, rates and switches, among those of the other models.
        image_size: the side S of its images, a multiple of 4.
        channels: 1 or 3.
        class_distribution_K: the true share of every class, for a method that is given it; None without labels.
        generator: where its first weights are drawn from; the model lies on its device.
    """

    method: Method
    networks: NetworkSettings
    settings: ModelSettings
    image_size: int
    channels: int
    class_distribution_K: Tensor | None
    generator: torch.Generator


class EvaluatedModel(Protocol):
    """What an evaluation needs of a model. Images are floats in [-1, 1]."""

    @property
    def categories(self) -> int:
        """How many categories K it has."""

    @property
    def noise_dim(self) -> int:
        """How many numbers D its noise has."""

    def generate(self, categories_N: Tensor, noise_ND: Tensor) -> Tensor:
        """Images [N, C, S, S] of the given categories (int64) from standard normal noise, in evaluation mode."""

    def category_logits(self, images_NCHW: Tensor) -> Tensor:
        """Logits of Q(c|x), shape [N, K], in evaluation mode, without gradients."""

    def prior_probabilities(self) -> Tensor:
        """The prior over categories, shape [K], on the CPU."""


class Model(EvaluatedModel, Protocol):
    """A model that can be trained, saved and exported; one class of a file of its own fulfils it."""

    def __init__(self, setup: ModelSetup) -> None: ...

    @property
    def uses_augmented(self) -> bool:
        """Whether ``train_step`` looks at the augmented images at all."""

    def train_step(self, real_NCHW: Tensor, augmented_NCHW: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """One step of the optimisers on a batch; returns every loss by name, detached scalars.

        Args:
            augmented_NCHW: the real images under a random transformation each.
            generator: where every random number is drawn from, on the model's device.
        """

    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights or state, by the name that checkpoints give it."""

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Every Adam optimiser, by the name that checkpoints give it."""

    def encoder_program(self) -> nn.Module:
        """What is exported to find categories: images [N, C, S, S] to probabilities Q(c|x) [N, K]."""

    def generator_program(self) -> nn.Module:
        """What is exported to draw images: noise [N, D] and categories [N] (int64) to images [N, C, S, S]."""


def build_model(setup: ModelSetup) -> Model:
    """The model of ``setup.method``, freshly initialised."""
    return setup.method.model.load()(setup)
