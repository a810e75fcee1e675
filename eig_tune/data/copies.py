"""Copies: images that are in a data set more than once, pixel for pixel."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from eig_tune.data.images import ImageData, Images

_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Copies:
    """Images that are the same as an earlier one in the size in which they are trained on.

    Attributes:
        all: how many.
        other_label: of these, how many have another label than the first of their kind.
        held_out: of these, how many are held out while their like is trained on.
    """

    all: int
    other_label: int
    held_out: int


def find_copies(images: ImageData) -> Copies:
    """Count the copies among all images of a data set."""
    first_label: dict[bytes, int | None] = {}
    found = other_label = held_out = 0
    for part in (images.trainable, images.held_out):
        trained_on = frozenset(first_label) if part is images.held_out else frozenset()
        for digest, label in _digests(part):
            if digest in first_label:
                found += 1
                other_label += first_label[digest] != label
                held_out += digest in trained_on
            else:
                first_label[digest] = label
    return Copies(found, other_label, held_out)


def _digests(images: Images) -> Iterator[tuple[bytes, int | None]]:
    """What each image is known by, and its label."""
    labels = iter([None] * len(images) if images.labels is None else images.labels.tolist())
    for some in images.parts():
        for pixels in some:
            yield hashlib.blake2b(pixels, digest_size=_DIGEST_BYTES).digest(), next(labels)
