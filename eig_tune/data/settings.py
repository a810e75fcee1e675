"""The section ``augment`` of a space. Reading one needs no PyTorch, so it lies apart from what it is for."""

from pydantic import Field

from eig_tune.schema import Section


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
