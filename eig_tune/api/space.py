"""The space of a search, from a file or from Python, and the images that are given beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.data import DatasetConfig
from eig_tune.errors import ConfigError, Problem
from eig_tune.schema import problems_of

if TYPE_CHECKING:
    from eig_tune.data.arrays import ArrayImages, ArrayLike

__all__ = ["DatasetConfig", "SearchSpec", "Space", "load_space", "name_of", "resolve", "with_data"]

Space = SearchSpec | str | Path | Mapping[str, Any]
_OF_ANY_IMAGES = {"image_size", "channels", "imbalance"}  # what a space says of its images, whichever they are


def load_space(source: Space, **overrides: Any) -> SearchSpec:
    """Read the space of a search and check it whole.

    Args:
        source: a YAML file, a mapping of the same form, or a space that was loaded before. A mapping without
            ``dataset`` is for images that are given as arrays.
        overrides: keys of the space with new values. A mapping for a section (``dataset``, ``model``, ``train``,
            ``augment``, ``asha``, ``confirm``) replaces the fields that it names; any other key is replaced whole.

    Returns:
        The space, validated and frozen.

    Raises:
        ConfigError: the file cannot be read, or something in it is wrong; every problem is reported at once.

    Example:
        >>> space = load_space({"search": {"lambda_2": {"loguniform": [1, 30]}}}, trials=8, train={"steps": 3000})
        >>> space.trials, space.train.steps
        (8, 3000)
    """
    return resolve(source, overrides, searching=True)


def resolve(source: Space, overrides: Mapping[str, Any] | None = None, *, searching: bool) -> SearchSpec:
    """As :func:`load_space`; ``searching`` says whether trials will be stopped early, so that ``asha`` must fit."""
    if isinstance(source, SearchSpec) and not overrides:
        return source
    document: Path | dict[str, Any]
    if isinstance(source, SearchSpec):
        document = source.model_dump(mode="json", exclude_unset=True)
    elif isinstance(source, Mapping):
        document = {"dataset": {"name": "arrays"}, **source}
    else:
        document = Path(source)
    return load_spec(document, dict(_dotted(overrides or {})), searching)


def _dotted(overrides: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Overrides by dotted keys, one for each field of a section."""
    sections = {name for name, field in SearchSpec.model_fields.items() if hasattr(field.annotation, "model_fields")}
    return [
        pair
        for key, value in overrides.items()
        for pair in (
            [(f"{key}.{name}", inner) for name, inner in value.items()]
            if key in sections and isinstance(value, Mapping)
            else [(key, value)]
        )
    ]


def name_of(source: Space, of_file: str, otherwise: str) -> str:
    """A name for what is done with a space: ``of_file`` with that of its file, or ``otherwise``."""
    return of_file.format(Path(source).stem) if isinstance(source, str | Path) else otherwise


def with_data(
    spec: SearchSpec, data: Any, labels: "ArrayLike | None" = None
) -> "tuple[SearchSpec, ArrayImages | None]":
    """The space for the images ``data``, and those images where they are arrays.

    Args:
        data: images as :func:`eig_tune.data.arrays.from_arrays` takes them; the name of a data set; a
            :class:`DatasetConfig` or a mapping of that form; None for the images that the space names. The
            space's ``imbalance``, ``image_size`` and ``channels`` hold for arrays and names as well.
        labels: of arrays.

    Raises:
        DataError: the arrays are no images or labels.
        ConfigError: there is no such data set.
    """
    if data is None or isinstance(data, DatasetConfig | Mapping | str):
        if labels is not None:
            raise ConfigError("data", [Problem("labels", "are given beside images only; leave them out")])
        return spec if data is None else _with_dataset(spec, data), None
    from eig_tune.data.arrays import from_arrays

    arrays = from_arrays(data, labels)
    return _with_dataset(spec, "arrays"), arrays


def _with_dataset(spec: SearchSpec, data: DatasetConfig | Mapping[str, Any] | str) -> SearchSpec:
    if isinstance(data, str):
        kept = spec.dataset.model_dump(include=_OF_ANY_IMAGES & spec.dataset.model_fields_set)
        data = {"name": data, **kept}
    try:
        dataset = DatasetConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError("data", problems_of(error, {"": DatasetConfig})) from error
    return spec.model_copy(update={"dataset": dataset})
