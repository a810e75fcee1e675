"""Images and data sets: what trials train on, all that may be trained on, and what is held out.

Shape suffixes: N images, C channels (of images) or classes (of shares), S the side.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eig_tune.data.imbalance import Imbalance, ImbalanceSplit, choose, class_fractions, imbalanced_counts
from eig_tune.data.left_out import LeftOut, named
from eig_tune.data.pixel_file import PixelFile
from eig_tune.errors import DataError

HELD_OUT_SHARE = 0.2
_HELD_OUT_SEED = 20_200_101
_AT_ONCE = 4096  # images that are read at once when all are looked at


@dataclass(frozen=True)
class Images:
    """Images uint8 [N, C, S, S] and, where they exist, labels int64 [N].

    Attributes:
        stored: the pixels, in memory or in a file.
        rows: which of ``stored`` the images are, and in which order; None is all of them as they are.
    """

    stored: NDArray[np.uint8] | PixelFile
    labels: NDArray[np.int64] | None
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.stored.shape[0]) if self.rows is None else len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[N, C, S, S]."""
        if isinstance(self.stored, PixelFile) and self.stored.channels_last:
            _, height, width, channels = self.stored.shape
        else:
            _, channels, height, width = self.stored.shape
        return len(self), channels, height, width

    @property
    def nbytes(self) -> int:
        """What the pixels take in memory."""
        return int(np.prod(self.shape))

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """All pixels [N, C, S, S], in memory: images in a file are read, whatever they take."""
        return self.array() if isinstance(self.stored, np.ndarray) and self.rows is None else self.read(slice(None))

    def read(self, indices: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """The pixels of the images at ``indices``, in memory."""
        chosen = indices if self.rows is None else self.rows[indices]
        return np.ascontiguousarray(self.array()[chosen])

    def parts(self, count: int = _AT_ONCE) -> Iterator[NDArray[np.uint8]]:
        """All pixels in order, at most ``count`` images at once."""
        for start in range(0, len(self), count):
            yield self.read(slice(start, start + count))

    def take(self, indices: NDArray[np.int64]) -> "Images":
        """The images at ``indices``; those of a file stay there."""
        labels = None if self.labels is None else self.labels[indices]
        if isinstance(self.stored, np.ndarray) and self.rows is None:
            return Images(self.stored[indices], labels)
        return Images(self.stored, labels, indices if self.rows is None else self.rows[indices])

    def sent_whole(self) -> "Images":
        """The same images for a process on another machine, which cannot see their file. Nothing is copied here."""
        return replace(self, stored=self.array())

    def update(self, digest: "hashlib._Hash") -> None:
        """Add every pixel and label to a digest."""
        for part in self.parts():
            digest.update(part.data)
        digest.update(b"" if self.labels is None else self.labels.tobytes())

    def array(self) -> NDArray[np.uint8]:
        """``stored`` as [N, C, S, S], in memory or mapped; it may not be writable."""
        return self.stored.array() if isinstance(self.stored, PixelFile) else self.stored


@dataclass(frozen=True)
class ImageData:
    """One data set, ready for a search.

    Attributes:
        training: what trials train on, made imbalanced; trials never look at its labels.
        trainable: all that the training images are taken from; the evaluation classifier trains on them.
        held_out: what neither a trial nor an evaluation classifier ever trains on.
        left_out: files and folders below ``dataset.root`` that were not read, with the reason.
    """

    name: str
    classes: tuple[str, ...]
    training: Images
    trainable: Images
    held_out: Images
    left_out: tuple[LeftOut, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether the true classes are known."""
        return self.training.labels is not None

    @property
    def class_distribution(self) -> NDArray[np.float64] | None:
        """Share of every class in the training images [C], or None without labels."""
        if self.training.labels is None:
            return None
        return np.bincount(self.training.labels, minlength=len(self.classes)) / len(self.training)

    @property
    def image_size(self) -> int:
        return self.training.shape[-1]

    @property
    def channels(self) -> int:
        return self.training.shape[1]

    def with_imbalance(self, imbalance: Imbalance) -> "ImageData":
        """The same images with the training images chosen anew, of all that may be trained on.

        Raises:
            DataError: they have no labels, or too few images of a class.
        """
        if imbalance == "none":
            return replace(self, training=self.trainable)
        if self.trainable.labels is None:
            raise DataError(
                "dataset.imbalance: these images have no labels, so they cannot be made imbalanced by class; "
                "write `imbalance: none`, or sort the images into one sub-folder per class"
            )
        fractions = class_fractions(imbalance, len(self.classes))
        counts = imbalanced_counts(fractions, np.bincount(self.trainable.labels, minlength=len(self.classes)))
        seed = imbalance.split if isinstance(imbalance, ImbalanceSplit) else imbalance.row
        return replace(self, training=self.trainable.take(choose(self.trainable.labels, counts, seed)))

    def sent_whole(self) -> "ImageData":
        """The same data set for processes on other machines, as :meth:`Images.sent_whole`."""
        trainable = self.trainable.sent_whole()
        training = trainable if self.training is self.trainable else self.training.sent_whole()
        return replace(self, training=training, trainable=trainable, held_out=self.held_out.sent_whole())

    def fingerprint(self) -> str:
        """SHA-256 over every image and label of the three sets."""
        digest = hashlib.sha256()
        for images in (self.training, self.trainable, self.held_out):
            digest.update(repr(images.shape).encode())
            images.update(digest)
        return digest.hexdigest()


def held_out_apart(name: str, images: Images, classes: tuple[str, ...]) -> ImageData:
    """Set a fixed fifth of every class (of all images, without labels) apart as the held-out images.

    Raises:
        DataError: a class has too few images.
    """
    labels = np.zeros(len(images), np.int64) if images.labels is None else images.labels
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < 2:
        few = f" ({named([classes[number] for number in np.flatnonzero(counts < 2)])})" if classes else ""
        raise DataError(f"dataset: every class{few} needs two images or more, one of them to hold out")
    held_counts = np.maximum((counts * HELD_OUT_SHARE).astype(np.int64), 1)
    held = choose(labels, held_counts, _HELD_OUT_SEED)
    rest = np.setdiff1d(np.arange(len(images)), held)
    train = images.take(rest)
    return ImageData(name, classes, training=train, trainable=train, held_out=images.take(held))
