"""What was read, in numbers and in words, so that a person sees at once when it is not what was meant."""

from dataclasses import dataclass

import numpy as np

from eig_tune.data.images import ImageData, Images
from eig_tune.data.imbalance import Imbalance, ImbalanceFile, ImbalanceSplit

_MOST_NAMED = 20
_COLOURS = {1: "grey", 3: "RGB"}


@dataclass(frozen=True)
class ClassFacts:
    """How many images of one class trials train on, and how many are held out."""

    name: str
    training: int
    held_out: int


@dataclass(frozen=True)
class Facts:
    """What there is of a data set; numbers of images.

    Attributes:
        trainable: all that are not held out.
        training: of those, what the imbalance leaves for trials.
        classes: empty without labels.
    """

    name: str
    image_size: int
    channels: int
    trainable: int
    training: int
    held_out: int
    classes: tuple[ClassFacts, ...]


def facts_of(images: ImageData) -> Facts:
    """Count what was read."""
    counts = zip(images.classes, _counts(images, images.training), _counts(images, images.held_out), strict=True)
    return Facts(
        images.name,
        images.image_size,
        images.channels,
        len(images.trainable),
        len(images.training),
        len(images.held_out),
        tuple(ClassFacts(name, training, held_out) for name, training, held_out in counts) if images.labelled else (),
    )


def _counts(images: ImageData, part: Images) -> list[int]:
    if part.labels is None:
        return [0] * len(images.classes)
    return [int(count) for count in np.bincount(part.labels, minlength=len(images.classes))]


def in_words(facts: Facts, imbalance: Imbalance) -> list[str]:
    """Two lines: the images, and their classes, by name as long as there are few."""
    left_out = facts.trainable - facts.training
    training = f"{facts.training:,} for training"
    if imbalance != "none":
        training += f" ({left_out:,} left out by imbalance {_of(imbalance)})"
    size = f"{facts.image_size} × {facts.image_size} {_COLOURS[facts.channels]}"
    read = f"{facts.trainable + facts.held_out:,} images, {size}: {training}, {facts.held_out:,} held out"
    return [f"data: {facts.name}, {read}", _classes(facts)]


def _of(imbalance: Imbalance) -> str:
    if isinstance(imbalance, ImbalanceSplit):
        return f"{{split: {imbalance.split}}}"
    if isinstance(imbalance, ImbalanceFile):
        return f"{{file: {imbalance.file}, row: {imbalance.row}}}"
    return imbalance


def _classes(facts: Facts) -> str:
    classes = facts.classes
    if not classes:
        return "no labels: the images lie in no class folders" if facts.name == "folder" else "no labels were given"
    if len(classes) <= _MOST_NAMED:
        each = ", ".join(f"{one.name} {one.training}+{one.held_out}" for one in classes)
        return f"{len(classes)} classes, training + held out: {each}"
    by_size = sorted(classes, key=lambda one: one.training)
    few, many, middle = by_size[0], by_size[-1], by_size[len(by_size) // 2]
    return (
        f"{len(classes)} classes with {few.training:,} ({few.name}) to {many.training:,} ({many.name}) training "
        f"images, half of them with {middle.training:,} or more"
    )
