"""The methods that a run may name, the models that they train, and the settings that each model reads.

To add a method, write its row in ``METHODS``. To add a model, write its class in a file of its own (what it has to
fulfil is :class:`eig_tune.models.base.Model`), and here its settings, its :class:`ModelKind` and a method that trains
it. Reading a space needs this table and no PyTorch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from eig_tune.data.settings import AugmentSettings
from eig_tune.errors import EigTuneError
from eig_tune.models import uses
from eig_tune.models.distances import DistanceSettings
from eig_tune.models.networks import AUTO, NetworkName
from eig_tune.models.uses import (
    AUGMENTED,
    BATCH_NORM_IN_FRONT_END,
    BY_GRADIENT,
    BY_POSTERIOR,
    ENTROPY,
    LEARNED,
    TRANSFORMATION,
    Use,
)
from eig_tune.schema import MOST, Section

if TYPE_CHECKING:
    from eig_tune.models.base import Model

PriorKind = Literal["uniform", "ground-truth", "learned"]
Precision = Literal["auto", "fp32", "bf16"]
GanLoss = Literal["non-saturating", "hinge"]


@dataclass(frozen=True)
class ModelKind:
    """A model.

    Attributes:
        load: gives its class, which is imported when a run needs it.
        settings: those that it reads.
        trained_by: what trains it, in words.
        capturable: its ``train_step`` launches the same work on the same tensors at every call and reads nothing back
            to the CPU, so that a GPU may replay it as a CUDA graph. What Python code decides anew at a step would be
            frozen there.
    """

    name: str
    load: "Callable[[], type[Model]]"
    settings: type[Section]
    trained_by: str
    capturable: bool = False


@dataclass(frozen=True)
class Method:
    """One row: which prior, which of the two further losses are on, and which model."""

    name: str
    prior: PriorKind
    transformation: bool
    entropy: bool
    citation: str
    model: ModelKind

    def with_model(self, name: str, model: "type[Model]", capturable: bool = False) -> "Method":
        """A method ``name`` like this one that trains an own model, which reads the same settings.

        Args:
            model: a class that fulfils :class:`eig_tune.models.base.Model`, such as a child of ``InfoGan``.
            capturable: see :class:`ModelKind`; faster on a GPU.
        """
        return replace(self, name=name, model=ModelKind(name, lambda: model, self.model.settings, name, capturable))


_INFOGAN_ONLY = Use("with an InfoGAN method", lambda method, _: issubclass(method.model.settings, InfoGanSettings))


class NetworkSettings(Section):
    """Which networks, and their shape."""

    network: Annotated[NetworkName, _INFOGAN_ONLY] = Field(
        default=AUTO,
        description="the networks of G, D and Q; `auto` is `infogan` below 32×32 and `dcgan` from there on",
    )
    width: int = Field(default=64, ge=4, le=512, description="width w of every layer; 64 gives the published networks")
    noise_dim: Annotated[int, _INFOGAN_ONLY] = Field(default=62, ge=1, le=4096, description="numbers of the noise z")
    categories: int = Field(default=10, ge=2, le=1000, description="number K of categories")


class InfoGanSettings(DistanceSettings):
    """The weights and rates of the objective; a method's row decides which of them are used.

    The switches are questions that the paper leaves open; benchmarks/RESULTS.md has the measurements.
    """

    lambda_1: float = Field(default=1.0, ge=0, description="weight λ1 of the mutual information L1")
    lambda_2: Annotated[float, TRANSFORMATION] = Field(
        default=10.0, ge=0, description="weight λ2 of the transformation loss L_trans"
    )
    lambda_3: Annotated[float, ENTROPY] = Field(default=1.0, ge=0, description="weight λ3 of the entropy loss L_ent")
    tau: Annotated[float, LEARNED] = Field(default=0.1, gt=0, description="temperature τ of the Gumbel-softmax")
    prior_lr: Annotated[float, LEARNED] = Field(
        default=1e-2,
        ge=0,
        description="learning rate of the prior's logits, or the share by which a posterior moves it",
    )
    generator_lr: float = Field(default=2e-4, gt=0, description="learning rate of G and Q")
    discriminator_lr: float = Field(
        default=2e-4,
        gt=0,
        description="learning rate of D; the front end has the geometric mean of both, or this where only D trains it",
    )
    category_loss_trains_front_end: bool = Field(
        default=True, description="Q's losses move the trunk that D and Q share, not Q's own layers only"
    )
    code_target: Annotated[Literal["soft", "hard"], LEARNED] = Field(
        default="soft", description="what Q must read back in L1: the code that G saw, or its largest entry alone"
    )
    prior_entropy_in_information: Annotated[bool, BY_GRADIENT] = Field(
        default=True, description="H(c) is part of L1 and so draws a learned prior towards the uniform one"
    )
    straight_through: Annotated[bool, LEARNED] = Field(
        default=False,
        description="G sees one-hot codes, and gradients pass as if they were soft (Jang et al. 2017)",
    )
    prior_update: Annotated[Literal["gradient", "posterior"], LEARNED] = Field(
        default="gradient",
        description="a learned prior follows G's gradient by Adam at prior_lr, or moves at each step by the share "
        "prior_lr towards the mean of Q(c|x) over the real batch",
    )
    prior_warmup_steps: Annotated[int, BY_POSTERIOR] = Field(
        default=0, ge=0, description="first steps, in which a prior that follows the posterior stays uniform"
    )
    gan_loss: GanLoss = Field(
        default="non-saturating", description="the adversarial loss of D and G; D's is the cross entropy, or its hinge"
    )
    r1_gamma: float = Field(
        default=0.0,
        ge=0,
        description="weight γ of the R1 penalty γ/2·E‖∇D(x)‖² on real images, at every step; 0 is off",
    )
    diff_translation: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        description="differentiable augmentation of all that D sees: largest shift in x and in y, as a share of the "
        "side; 0 is off, Zhao et al. have 0.125",
    )
    diff_cutout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="the same: side of the square that is cut out, as a share of the image's; 0 is off, Zhao et al. "
        "have 0.5",
    )
    diff_colour: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="the same: strength of changes of brightness, saturation and contrast; 0 is off, Zhao et al. "
        "have 1",
    )
    shared_batch_statistics: Annotated[bool, BATCH_NORM_IN_FRONT_END] = Field(
        default=False, description="D's step normalises real and generated images as one batch"
    )
    precision: Precision = Field(
        default="auto",
        description="number format of matrix products and convolutions; auto is bf16 where the processor has it",
    )


class JointVaeSettings(Section):
    """Latents, capacities and rate of JointVAE (Dupont 2018, arXiv 1804.00104)."""

    continuous_dim: int = Field(default=10, ge=1, le=4096, description="numbers of the continuous latent z")
    continuous_capacity: float = Field(default=5.0, ge=0, description="capacity C_z of the continuous latent, nats")
    categorical_capacity: float = Field(default=5.0, ge=0, description="capacity C_c of the categorical latent, nats")
    capacity_steps: int = Field(default=25_000, ge=1, le=MOST, description="steps for which both capacities rise")
    capacity_gamma: float = Field(default=30.0, ge=0, description="weight γ of being off a capacity")
    code_temperature: float = Field(default=0.67, gt=0, description="temperature of the categorical latent's samples")
    vae_lr: float = Field(default=5e-4, gt=0, description="learning rate of encoder and decoder")
    precision: Precision = Field(
        default="auto",
        description="number format of matrix products and convolutions; auto is bf16 where the processor has it",
    )


class ModelSettings(InfoGanSettings, JointVaeSettings):
    """The settings of every model; each reads its own."""


def _infogan() -> "type[Model]":
    from eig_tune.models.infogan import InfoGan

    return InfoGan


def _joint_vae() -> "type[Model]":
    from eig_tune.models.jointvae import JointVae

    return JointVae


INFOGAN = ModelKind("infogan", _infogan, InfoGanSettings, trained_by="an InfoGAN method", capturable=True)
JOINT_VAE = ModelKind("joint-vae", _joint_vae, JointVaeSettings, trained_by="joint-vae", capturable=True)

_INFOGAN_PAPER = "Chen et al. 2016, arXiv 1606.03657"
_ELASTIC_PAPER = "Ojha et al. 2020, arXiv 1910.01112"
_JOINT_VAE_PAPER = "Dupont 2018, arXiv 1804.00104"

#                             name                          prior           trans  entropy paper             model
METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("uniform-infogan",            "uniform",      False, False, _INFOGAN_PAPER,   INFOGAN),
        Method("ground-truth-infogan",       "ground-truth", False, False, _INFOGAN_PAPER,   INFOGAN),
        Method("ground-truth-infogan+trans", "ground-truth", True,  False, _ELASTIC_PAPER,   INFOGAN),
        Method("gumbel-softmax",             "learned",      False, False, _ELASTIC_PAPER,   INFOGAN),
        Method("gumbel-softmax+trans",       "learned",      True,  False, _ELASTIC_PAPER,   INFOGAN),
        Method("elastic-infogan",            "learned",      True,  True,  _ELASTIC_PAPER,   INFOGAN),
        Method("joint-vae",                  "uniform",      False, False, _JOINT_VAE_PAPER, JOINT_VAE),
    )
}  # fmt: skip
_BUILT_IN = frozenset(METHODS)

# Fields that are not here are used by every run.
USES: Mapping[str, Use] = {
    **uses.of_models([INFOGAN, JOINT_VAE]),
    **uses.of_distances(),
    **dict.fromkeys(AugmentSettings.model_fields, AUGMENTED),
    **dict(uses.annotated(NetworkSettings)),
    **dict(uses.annotated(ModelSettings)),
}
DECIDING = frozenset({"method", *(name for use in USES.values() for name in use.fields)})  # what ``Use.holds`` looks at


def register_method(method: Method) -> None:
    """Make an own method known in this process, so that a run may name it; a second one of its name replaces it.

    Runs in other processes know those that were registered when their
    :class:`~eig_tune.training.loop.TrialData` was made.

    Raises:
        EigTuneError: eig-tune has a method of that name.
    """
    if method.name in _BUILT_IN:
        raise EigTuneError(f"method {method.name}: eig-tune has one of this name; give yours another")
    METHODS[method.name] = method


def own_methods() -> tuple[Method, ...]:
    """What was given to :func:`register_method` in this process."""
    return tuple(method for name, method in METHODS.items() if name not in _BUILT_IN)
