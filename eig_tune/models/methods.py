"""The systems of the paper's comparison, as rows of one table."""

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
