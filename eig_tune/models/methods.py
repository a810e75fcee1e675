"""The systems of the paper's comparison, as rows of one table, and which of them each field of a run is for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

PriorKind = Literal["uniform", "ground-truth", "learned"]


@dataclass(frozen=True)
class Method:
    """One row: which model, which prior, and which of the two further losses are on."""

    name: str
    prior: PriorKind
    transformation: bool
    entropy: bool
    citation: str
    model: Literal["infogan", "joint-vae"] = "infogan"


_INFOGAN = "Chen et al. 2016, arXiv 1606.03657"
_ELASTIC = "Ojha et al. 2020, arXiv 1910.01112"
_JOINT_VAE = "Dupont 2018, arXiv 1804.00104"

METHODS = {
    method.name: method
    for method in (
        Method("uniform-infogan", "uniform", transformation=False, entropy=False, citation=_INFOGAN),
        Method("ground-truth-infogan", "ground-truth", transformation=False, entropy=False, citation=_INFOGAN),
        Method(
            "ground-truth-infogan+trans",
            "ground-truth",
            transformation=True,
            entropy=False,
            citation=_ELASTIC,
        ),
        Method("gumbel-softmax", "learned", transformation=False, entropy=False, citation=_ELASTIC),
        Method("gumbel-softmax+trans", "learned", transformation=True, entropy=False, citation=_ELASTIC),
        Method("elastic-infogan", "learned", transformation=True, entropy=True, citation=_ELASTIC),
        Method("joint-vae", "uniform", transformation=False, entropy=False, citation=_JOINT_VAE, model="joint-vae"),
    )
}


@dataclass(frozen=True)
class Use:
    """When a field of a run changes anything in it.

    Attributes:
        where: which runs, in words.
        holds: whether such a run is one with this method and these fields, named flat.
    """

    where: str
    holds: Callable[[Method, Mapping[str, object]], bool]


_INFOGAN_ONLY = Use("with an InfoGAN method", lambda method, _: method.model == "infogan")
_JOINT_VAE_ONLY = Use("with joint-vae", lambda method, _: method.model == "joint-vae")
_LEARNED = Use("with a method that learns its prior", lambda method, _: method.prior == "learned")
_BY_GRADIENT = Use(
    "where a prior is learned by prior_update: gradient",
    lambda method, fields: method.prior == "learned" and fields["prior_update"] == "gradient",
)
_TRANSFORMED = Use("with a method that has the transformation loss", lambda method, _: method.transformation)
_NT_XENT = Use(
    "where the transformation loss has distance: nt_xent",
    lambda method, fields: method.transformation and fields["distance"] == "nt_xent",
)
_ENTROPY = Use("with a method that has the entropy loss", lambda method, _: method.entropy)
_AUGMENTED = Use(
    "with a method that has the transformation or the entropy loss",
    lambda method, _: method.transformation or method.entropy,
)

# Fields that are not here are used by every method.
USES: Mapping[str, Use] = {
    **dict.fromkeys(
        (
            "lambda_1", "generator_lr", "discriminator_lr", "noise_dim",
            "category_loss_trains_front_end", "shared_batch_statistics",
        ),
        _INFOGAN_ONLY,
    ),
    **dict.fromkeys(("tau", "prior_lr", "prior_update", "straight_through", "code_target"), _LEARNED),
    "prior_entropy_in_information": _BY_GRADIENT,
    **dict.fromkeys(("lambda_2", "distance"), _TRANSFORMED),
    "nt_xent_temperature": _NT_XENT,
    "lambda_3": _ENTROPY,
    **dict.fromkeys(("rotation", "zoom", "shear", "shift", "distortion", "flip"), _AUGMENTED),
    **dict.fromkeys(
        (
            "continuous_dim", "continuous_capacity", "categorical_capacity", "capacity_steps", "capacity_gamma",
            "code_temperature", "vae_lr",
        ),
        _JOINT_VAE_ONLY,
    ),
}  # fmt: skip
DECIDING = frozenset({"method", "distance", "prior_update"})  # the fields that ``Use.holds`` looks at
