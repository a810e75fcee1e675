"""When a field of a run changes anything in it: each field that not every run uses is annotated with one of these."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eig_tune.models.distances import DISTANCES, DistanceSettings
from eig_tune.models.networks import AUTO, NETWORKS
from eig_tune.schema import Section

if TYPE_CHECKING:
    from eig_tune.models.methods import Method, ModelKind


@dataclass(frozen=True)
class Use:
    """The runs in which a field changes anything.

    Attributes:
        where: which runs, in words.
        holds: whether such a run is one with this method and these fields, named flat.
        fields: those of the fields that ``holds`` looks at.
    """

    where: str
    holds: "Callable[[Method, Mapping[str, object]], bool]"
    fields: tuple[str, ...] = ()


LEARNED = Use("with a method that learns its prior", lambda method, _: method.prior == "learned")
BY_GRADIENT = Use(
    "where a prior is learned by prior_update: gradient",
    lambda method, fields: method.prior == "learned" and fields["prior_update"] == "gradient",
    fields=("prior_update",),
)
BY_POSTERIOR = Use(
    "where a prior is learned by prior_update: posterior",
    lambda method, fields: method.prior == "learned" and fields["prior_update"] == "posterior",
    fields=("prior_update",),
)
TRANSFORMATION = Use("with a method that has the transformation loss", lambda method, _: method.transformation)
ENTROPY = Use("with a method that has the entropy loss", lambda method, _: method.entropy)
BATCH_NORM_IN_FRONT_END = Use(
    "with an InfoGAN method whose networks normalise batches in D's layers, which resnet does not",
    lambda method, fields: (
        "shared_batch_statistics" in method.model.settings.model_fields
        and (fields["network"] == AUTO or NETWORKS[str(fields["network"])].batch_norm_in_front_end)
    ),
    fields=("network",),
)
AUGMENTED = Use(
    "with a method that has the transformation or the entropy loss",
    lambda method, _: method.transformation or method.entropy,
)


def annotated(section: type[Section]) -> Iterator[tuple[str, Use]]:
    """The fields of a section that are annotated with their use."""
    for name, field in section.model_fields.items():
        yield from ((name, use) for use in field.metadata if isinstance(use, Use))


def of_models(kinds: "Iterable[ModelKind]") -> dict[str, Use]:
    """The fields that some models read and others do not."""
    kinds = list(kinds)
    names = dict.fromkeys(name for kind in kinds for name in kind.settings.model_fields)
    readers = {name: [kind for kind in kinds if name in kind.settings.model_fields] for name in names}
    return {name: _read_by(name, some) for name, some in readers.items() if len(some) < len(kinds)}


def _read_by(name: str, kinds: "Iterable[ModelKind]") -> Use:
    where = " or ".join(kind.trained_by for kind in kinds)
    return Use(f"with {where}", lambda method, _: name in method.model.settings.model_fields)


def of_distances() -> dict[str, Use]:
    """The choice of a distance, and the parameters that some distances have."""
    uses = dict.fromkeys(DistanceSettings.model_fields, TRANSFORMATION)
    names = {name for distance in DISTANCES.values() for name in distance.parameters.values()}
    return uses | {
        name: _taken_by([d.name for d in DISTANCES.values() if name in d.parameters.values()]) for name in names
    }


def _taken_by(distances: list[str]) -> Use:
    return Use(
        f"where the transformation loss has distance: {' or '.join(distances)}",
        lambda method, fields: method.transformation and fields["distance"] in distances,
        fields=("distance",),
    )
