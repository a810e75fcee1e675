"""Everything that decides a run, validated when it is made."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from eig_tune.data import AugmentSettings
from eig_tune.models import METHODS, ModelSettings, NetworkSettings
from eig_tune.models.networks import INFOGAN
from eig_tune.schema import MOST, Section, problems_of, suggestion

ParamValue = bool | int | float | str


def _known_method(name: str) -> str:
    if name not in METHODS:
        raise ValueError(f"no such method{suggestion(name, METHODS)}")
    return name


MethodName = Annotated[str, AfterValidator(_known_method)]


class TrainSettings(ModelSettings):
    """The objective's weights and rates, and the budget in steps; a model looks at its own fields only."""

    steps: int = Field(default=30_000, ge=1, le=MOST, description="full budget of a run, in optimisation steps")
    report_every: int = Field(default=1000, ge=1, le=MOST, description="steps between two evaluations")
    batch_size: int = Field(default=64, ge=2, le=MOST, description="images of a step")
    ema_decay: float = Field(
        default=0.995,
        ge=0,
        lt=1,
        description="decay of the exponential moving average of all weights, which is what is evaluated and exported; "
        "0 evaluates the weights themselves",
    )
    images_per_category: int = Field(
        default=200, ge=1, le=10_000, description="images generated from each category for an evaluation"
    )
    final_images_per_category: int = Field(
        default=1000, ge=1, le=10_000, description="the same for the last evaluation, at the full budget"
    )


class TrainConfig(Section):
    """One run, whole."""

    method: MethodName = "elastic-infogan"
    model: NetworkSettings = NetworkSettings()
    train: TrainSettings = TrainSettings()
    augment: AugmentSettings = AugmentSettings()
    seed: int = Field(default=0, ge=0, lt=2**31)

    def with_params(self, params: Mapping[str, Any]) -> "TrainConfig":
        """A copy with some fields, named flat as in the ``search`` section, set to other values.

        Raises:
            KeyError: there is no such field.
            pydantic.ValidationError: a value is out of its field's range.
        """
        document = self.model_dump()
        for name, value in params.items():
            section = section_of(name)
            (document if section is None else document[section])[name] = value
        return TrainConfig.model_validate(document)

    def flat(self) -> dict[str, ParamValue]:
        """Every field by its flat name."""
        fields: dict[str, ParamValue] = {}
        for name, value in self.model_dump().items():
            fields.update(value if isinstance(value, dict) else {name: value})
        return fields


def with_named_networks(document: Mapping[str, Any]) -> dict[str, Any]:
    """A run or a space as it was written, whose ``model.network`` is named: a version that wrote none had ``infogan``
    alone, for images of every size."""
    model = document.get("model", {})
    return {**document, "model": {"network": INFOGAN, **model} if isinstance(model, Mapping) else model}


_SECTIONS: dict[str, type[Section]] = {
    "model": NetworkSettings,
    "train": TrainSettings,
    "augment": AugmentSettings,
}


def field_names() -> list[str]:
    """Every field that a search may vary, by its flat name."""
    return ["method", *(name for section in _SECTIONS.values() for name in section.model_fields)]


def section_of(name: str) -> Literal["model", "train", "augment"] | None:
    """The section that has the field ``name``; None for a field of the run itself."""
    if name in ("method", "seed"):
        return None
    for section, fields in _SECTIONS.items():
        if name in fields.model_fields:
            return section  # type: ignore[return-value]
    raise KeyError(name)


def coerce(name: str, value: Any) -> ParamValue:
    """What the field ``name`` makes of ``value``: a number of the text ``3e-3``, 64 of 64.0, true of ``yes``.

    Raises:
        KeyError: there is no such field.
        ValueError: it can make nothing of it, or it is out of its range; one line.
    """
    try:
        return TrainConfig().with_params({name: value}).flat()[name]
    except ValidationError as error:
        raise ValueError(problems_of(error, {})[0].what) from error


def kind_of(name: str) -> type[bool] | type[int] | type[float] | type[str]:
    """What values the field ``name`` has; a choice of words is text."""
    return type(TrainConfig().flat()[name])
