"""The networks that an InfoGAN method may train, one row of a table each; each is a file of its own beside this one.

To add one, write its class in ``NAME.py`` (what it has to fulfil is :class:`eig_tune.models.networks.base.Networks`)
and its row in ``NETWORKS``. Reading a space needs this table and no PyTorch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from eig_tune.models.networks.base import Networks

AUTO, INFOGAN = "auto", "infogan"
_DCGAN_FROM = 32  # pixels of a side: from there on InfoGAN's fully connected layers have most of all weights


@dataclass(frozen=True)
class Network:
    """One row of the table.

    Attributes:
        load: gives its class, which is imported when a run needs it.
        sides: for which images it is made, in words.
        source: where it comes from.
        batch_norm_in_front_end: D's and Q's shared layers look at a batch as a whole.
        collapses_unshifted: sides at which G collapses in most runs in which D sees no image shifted
            (``diff_translation``).
    """

    name: str
    load: "Callable[[], type[Networks]]"
    sides: str
    source: str
    batch_norm_in_front_end: bool = True
    collapses_unshifted: range = range(0)


def _infogan() -> "type[Networks]":
    from eig_tune.models.networks.infogan import InfoGanNetworks

    return InfoGanNetworks


def _dcgan() -> "type[Networks]":
    from eig_tune.models.networks.dcgan import DcganNetworks

    return DcganNetworks


def _resnet() -> "type[Networks]":
    from eig_tune.models.networks.resnet import ResnetNetworks

    return ResnetNetworks


NETWORKS = {
    network.name: network
    for network in (
        Network(INFOGAN, _infogan, "28×28 and below", "Chen et al. 2016, arXiv 1606.03657, appendix C.1"),
        Network(
            "dcgan",
            _dcgan,
            "32×32 and above",
            "Radford et al. 2016, arXiv 1511.06434",
            collapses_unshifted=range(33, 65),  # measured at 64: benchmarks/RESULTS.md, "Networks at 64×64"
        ),
        Network(
            "resnet",
            _resnet,
            "64×64 to 128×128",
            "Miyato et al. 2018, arXiv 1802.05957, appendix B",
            batch_norm_in_front_end=False,
        ),
    )
}

if TYPE_CHECKING:
    NetworkName = str
else:
    NetworkName = Literal[(AUTO, *NETWORKS)]


def network_for(name: str, image_size: int) -> Network:
    """The row of that name; that of ``auto`` for images of that side."""
    if name != AUTO:
        return NETWORKS[name]
    return NETWORKS["dcgan" if image_size >= _DCGAN_FROM else INFOGAN]
