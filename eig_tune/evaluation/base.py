"""What a metric is: a row with a function of what the evaluator observes of a model.

Shape suffixes: G generated images, M of which are compared with training images, N training images, K categories, C
classes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from eig_tune.errors import EigTuneError
from eig_tune.evaluation.frechet import FeatureMoments

if TYPE_CHECKING:
    from eig_tune.models.base import EvaluatedModel

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Observations:
    """What is observed of a model at one step, with or without labels.

    Attributes:
        model: the model itself, for a metric that looks at more of it; it must not be trained.
        categories_G: the category that each generated image was made from.
        recovered_G: argmax Q(c|x) of each generated image.
        nearest_M5: the training images that are nearest to each of the first M generated images.
        prior_K: the model's prior.
        q_NK: Q(c|x) of training images x, in evaluation mode.
        posterior_K: the mean of these.
        augmented_q_NK: Q(c|δ(x)) of the same images under a random transformation δ each.
    """

    model: "EvaluatedModel"
    categories_G: Indices
    recovered_G: Indices
    nearest_M5: Indices
    prior_K: Array
    q_NK: Array
    posterior_K: Array
    augmented_q_NK: Array

    @cached_property
    def read(self) -> Indices:
        """argmax Q(c|x) of the training images [N]."""
        return _argmax(self.q_NK)

    @cached_property
    def augmented(self) -> Indices:
        """argmax Q(c|δ(x)) of the same images [N]."""
        return _argmax(self.augmented_q_NK)

    @cached_property
    def shares(self) -> Array:
        """Share of the training images that Q puts into each category [K]."""
        return np.bincount(self.read, minlength=len(self.prior_K)) / len(self.read)


def _argmax(q_NK: Array) -> Indices:
    largest: Indices = q_NK.argmax(axis=1)
    return largest


@dataclass(frozen=True)
class LabelledObservations(Observations):
    """What is observed where the true classes are known.

    Attributes:
        table_KC: how many images generated from category k the evaluation classifier puts into class c.
        real_table_KC: how many held-out images of true class c have argmax Q(c|x) = k.
        class_distribution_C: share of every class in the training images.
        generated: the classifier's features of the generated images, each category with the weight of the prior.
        real: those of the training images.
    """

    table_KC: Array
    real_table_KC: Array
    class_distribution_C: Array
    generated: FeatureMoments
    real: FeatureMoments


@dataclass(frozen=True)
class Metric:
    """One metric of a model: its row in the table.

    Attributes:
        name: by which spaces, MLflow and tables name it; letters, digits and underscores.
        compute: its value. Where it needs labels it is given :class:`LabelledObservations`, which have more.
        meaning: what it measures, in a few words.
        direction: which way is better; None when it is reported only and cannot be an objective.
        needs_labels: whether it needs true labels; without them it is left out.
        unit: of its values, such as ``nats``; empty for a share or another number without one.
        bounds: its smallest and its largest value.
        source: where its formula comes from.
        shown: it stands in the lines of ``train`` and in the table of ``best``.
        compared: it is a column of ``compare``.
        fooled_by: a kind of bad model that is best in it as well, in a few words; empty where none is known. A search
            is refused when that is so of all its objectives.
        biased_by_categories: the number of categories changes it, whatever is in the images, so that it cannot choose
            that number. A search over ``categories`` is refused when that is so of all its objectives.
    """

    name: str
    compute: Callable[[LabelledObservations], float]
    meaning: str
    direction: Direction | None
    needs_labels: bool = False
    unit: str = ""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    source: str = ""
    shown: bool = True
    compared: bool = False
    fooled_by: str = ""
    biased_by_categories: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise EigTuneError(f"metric {self.name!r}: a name has letters, digits and underscores only")
        if self.direction not in ("maximize", "minimize", None):
            raise EigTuneError(f"metric {self.name}: got direction {self.direction!r}; give maximize, minimize or None")
