"""What the evaluator observes of a model once, and every metric is computed from.

Shape suffixes: G generated images, N training images, K categories, C classes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eig_tune.models.base import EvaluatedModel

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Observations:
    """What is observed of a model at one step, with or without labels.

    Attributes:
        model: the model itself, for a metric that looks at more of it; it must not be trained.
        categories_G: the category that each generated image was made from.
        recovered_G: argmax Q(c|x) of each generated image.
        prior_K: the model's prior.
        q_NK: Q(c|x) of training images x, in evaluation mode.
        augmented_N: argmax Q(c|δ(x)) of the same images under a random transformation δ each.
    """

    model: "EvaluatedModel"
    categories_G: Indices
    recovered_G: Indices
    prior_K: Array
    q_NK: Array
    augmented_N: Indices

    @cached_property
    def posterior_K(self) -> Array:
        """The mean of Q(c|x) over the training images."""
        mean_K: Array = self.q_NK.mean(axis=0)
        return mean_K


@dataclass(frozen=True)
class LabelledObservations(Observations):
    """What is observed where the true classes are known.

    Attributes:
        table_KC: how many images generated from category k the evaluation classifier puts into class c.
        real_table_KC: how many held-out images of true class c have argmax Q(c|x) = k.
        class_distribution_C: share of every class in the training images.
    """

    table_KC: Array
    real_table_KC: Array
    class_distribution_C: Array
