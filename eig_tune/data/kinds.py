"""Kinds of images, and the transformation δ that keeps what an image of a kind is: guessed, for a person to overrule.

No statistic of pixels knows what a person will call the same. A guess errs towards changing too little: then categories
may be angles or shades, which shows in their samples, where a mirrored digit would be learned as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eig_tune.data.look import Look

SIGNS, PHOTOGRAPHS, FROM_ABOVE, OTHER = "signs", "photographs", "from-above", "other"
_EVEN_GROUND, _STROKES = 0.65, 0.15  # see Look: at least, at most
_PUBLISHED_SIGNS = ("digits", "mnist", "kmnist", "emnist-", "usps", "svhn")
_SETTLED = ("digits", "mnist", "fashion-mnist", "kmnist", "emnist-", "usps", "svhn", "cifar-10", "stl-10")


@dataclass(frozen=True)
class Kind:
    """A kind of images.

    Attributes:
        meaning: which images, in words.
        augment: the section ``augment`` of a space of such images.
        in_colour: what is added to it where they have colours.
        why: why so, in words.
    """

    name: str
    meaning: str
    augment: dict[str, Any]
    in_colour: dict[str, Any]
    why: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            SIGNS,
            "digits, letters, symbols, drawings of lines",
            {"rotation": 20, "zoom": 0.1, "shear": 5, "shift": 0.05, "distortion": 0.05, "flip": False},
            # As in benchmarks/letters.yaml; without it the categories of coloured letters were their colours.
            {"brightness": 0.4, "contrast": 0.4, "saturation": 0.5, "hue": 0.5},
            "signs are never mirrored, turned little, and have any colour",
        ),
        Kind(
            PHOTOGRAPHS,
            "things, animals, people, scenes",
            {"rotation": 10, "zoom": 0.1, "shear": 3, "shift": 0.05, "distortion": 0.03, "flip": True,
             "brightness": 0.2, "contrast": 0.2},
            {},
            "what is seen from the side may be mirrored and lit otherwise; its colour may tell what it is",
        ),
        Kind(
            FROM_ABOVE,
            "what has no up and no down: microscopes, satellites, tissue, textures",
            {"rotation": 180, "zoom": 0.1, "shear": 3, "shift": 0.05, "distortion": 0.03, "flip": True,
             "brightness": 0.2, "contrast": 0.2},
            {},
            "what is seen from above may be turned any way and mirrored",
        ),
        Kind(
            OTHER,
            "anything else: it is changed little, and not mirrored",
            {"rotation": 10, "zoom": 0.1, "shear": 5, "shift": 0.05, "distortion": 0.05, "flip": False},
            {},
            "little is changed, since it is not known what may be",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Guess:
    """A kind, and from what it was guessed, in words; empty where it is known."""

    kind: Kind
    reason: str = ""

    def augment(self, channels: int) -> dict[str, Any]:
        """The section ``augment`` for images of so many channels."""
        return {**self.kind.augment, **(self.kind.in_colour if channels == 3 else {})}


def guess_kind(source: str, classes: Sequence[str], look: "Look") -> Guess:
    """Of which kind the images of a data set are.

    Args:
        source: its name, as ``dataset.name`` has it.
        classes: the names of its classes; empty without labels.
        look: at some of its images.
    """
    if source.startswith(_SETTLED):
        signs = source.startswith(_PUBLISHED_SIGNS)
        return Guess(KINDS[SIGNS if signs else OTHER if source == "fashion-mnist" else PHOTOGRAPHS])
    if classes and all(len(name) == 1 and name.isalpha() for name in classes):
        return Guess(KINDS[SIGNS], "each class is called by one letter")
    if look.ground >= _EVEN_GROUND and look.filled <= _STROKES:
        return Guess(KINDS[SIGNS], "thin strokes on an even ground")
    if look.coloured and look.ground < _EVEN_GROUND:
        return Guess(KINDS[PHOTOGRAPHS], "in colour, and no even ground")
    return Guess(KINDS[OTHER], "neither strokes on an even ground nor photographs in colour")
