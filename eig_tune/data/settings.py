"""The sections ``dataset`` and ``augment`` of a space. Reading them needs no PyTorch and no images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator

from eig_tune.data.imbalance import Imbalance, ImbalanceSplit
from eig_tune.data.resize import LARGEST_SIDE, MULTIPLE_OF, SMALLEST_SIDE
from eig_tune.data.sources import SOURCES
from eig_tune.paths import expanded, is_text
from eig_tune.schema import Section

if TYPE_CHECKING:
    SourceName = str
else:
    SourceName = Literal[tuple(SOURCES)]

DEFAULT_CACHE = Path("~/.cache/eig-tune")


class DatasetConfig(Section):
    """Which images, of what size, and how imbalanced the training images are made."""

    name: SourceName = Field(
        description="the data set; your own images are a `folder`, a `file-list`, an `array-file`, or `arrays` given "
        "from Python"
    )
    root: Path | None = Field(
        default=None,
        description="where the data set lies or is downloaded to; the folder or file of your own images, which need it",
    )
    labels: Path | None = Field(
        default=None, description="the `.npy` file of the labels of an `array-file`, one an image; none by default"
    )
    image_size: int | None = Field(
        default=None,
        ge=SMALLEST_SIDE,
        le=LARGEST_SIDE,
        multiple_of=MULTIPLE_OF,
        description="side of the images in pixels, to which they are scaled; by default that of the data set",
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1 is grey, 3 is colour; by default that of the data set"
    )
    imbalance: Imbalance = Field(
        default=ImbalanceSplit(split=0),
        description="how the classes of the training images are made unequal; by default `none` for your own images",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _own_as_they_are(cls, document: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        row = SOURCES.get(str(document.get("name"))) if isinstance(document, dict) else None
        if row is None or not row.own or "imbalance" in document:
            return validate(document)
        validated = validate({"imbalance": "none", **document})
        validated.model_fields_set.discard("imbalance")  # it is the default
        return validated

    @model_validator(mode="after")
    def _root_where_needed(self) -> "DatasetConfig":
        if SOURCES[self.name].root == "needed" and self.root is None:
            raise ValueError(f"the data set `{self.name}` needs `root`, {SOURCES[self.name].root_is}")
        if self.labels is not None and self.name != "array-file":
            raise ValueError(f"`labels` are those of an `array-file`; leave them out for `{self.name}`")
        return self

    @field_validator("root", "labels")
    @classmethod
    def _path_is_text(cls, path: Path | None) -> Path | None:
        if path is not None and not is_text(str(path)):
            raise ValueError("this path is no UTF-8 text, which Ray and MLflow need; rename the folder, or link to it")
        return path

    @property
    def path(self) -> Path:
        """Where the data set lies, or will lie once it is downloaded."""
        return expanded(self.root or DEFAULT_CACHE, "dataset.root")

    @property
    def labels_path(self) -> Path | None:
        """Where the labels of an array in a file lie, if it has any."""
        return None if self.labels is None else expanded(self.labels, "dataset.labels")


class AugmentSettings(Section):
    """How far the transformation δ may change an image."""

    rotation: float = Field(default=20.0, ge=0, le=180, description="largest rotation to either side, degrees")
    zoom: float = Field(default=0.1, ge=0, lt=1, description="largest change of size, as a share of it")
    shear: float = Field(default=5.0, ge=0, lt=45, description="largest shear to either side, degrees")
    shift: float = Field(default=0.05, ge=0, lt=0.5, description="largest shift in x and in y, as a share of the side")
    distortion: float = Field(
        default=0.05, ge=0, lt=0.5, description="largest shift of each corner in x and in y, as a share of the side"
    )
    flip: bool = Field(default=False, description="mirror half of the images, left to right")
    brightness: float = Field(
        default=0.0, ge=0, le=1, description="largest change of brightness: images are multiplied by 1 ± as much"
    )
    contrast: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="largest change of contrast: distances from the mean grey times 1 ± as much",
    )
    saturation: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="largest change of saturation: distances from grey times 1 ± as much; colour images only",
    )
    hue: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="largest shift of the hue to either side, as a share of the colour circle; colour images only",
    )
    blur: float = Field(
        default=0.0, ge=0, lt=0.5, description="largest standard deviation of a Gaussian blur, as a share of the side"
    )
    invert: float = Field(default=0.0, ge=0, le=1, description="share of the images that are inverted, light for dark")

    @property
    def photometric(self) -> bool:
        """Whether light, colour or sharpness of images may change."""
        return any((self.brightness, self.contrast, self.saturation, self.hue, self.blur, self.invert))
