"""Using a bundle: categories of images, and images of categories. Needs the bundle alone."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from eig_tune.data.folder import SUFFIXES, read_image
from eig_tune.errors import DataError, EigTuneError
from eig_tune.evaluation.evaluator import sample_rows, to_unit_range
from eig_tune.evaluation.figures import sample_picture
from eig_tune.models import Model
from eig_tune.training.checkpoint import RunRecord

_BATCH = 256


@dataclass(frozen=True)
class Prediction:
    """One image's most probable category, how probable it is, and the entropy of Q(c|x) in nats."""

    path: Path
    category: int
    probability: float
    entropy: float


def find_images(sources: Sequence[Path]) -> list[Path]:
    """The image files among ``sources`` and below those that are folders, sorted.

    Raises:
        DataError: a source does not exist, or there is no image at all.
    """
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        raise DataError(f"there is no {missing[0]}; give image files, or a folder of them")
    found = [file for source in sources for file in ([source] if source.is_file() else sorted(_images_below(source)))]
    if not found:
        raise DataError(f"no image in {', '.join(map(str, sources))}; known endings: {' '.join(sorted(SUFFIXES))}")
    return found


def _images_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def predict(
    record: RunRecord,
    model: Model,
    files: Sequence[Path],
    on_unreadable: Callable[[Path], None],
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Iterator[Prediction]:
    """Categories of the images in ``files``, in their order, batch by batch.

    Args:
        on_unreadable: told of every file that cannot be read; it gets no prediction.
        on_progress: called with (files done, files in all).
    """
    done = 0
    for start in range(0, len(files), _BATCH):
        paths = files[start : start + _BATCH]
        read = {path: read_image(path, record.image_size, record.channels) for path in paths}
        for path in (path for path, pixels in read.items() if pixels is None):
            on_unreadable(path)
        readable = {path: pixels for path, pixels in read.items() if pixels is not None}
        if readable:
            yield from _predict_batch(model, list(readable), np.stack(list(readable.values())))
        done += len(paths)
        on_progress(done, len(files))


def _predict_batch(model: Model, paths: Sequence[Path], pixels: NDArray[np.uint8]) -> Iterator[Prediction]:
    q_NK = model.category_logits(to_unit_range(torch.tensor(pixels))).softmax(dim=1)
    entropies = torch.special.entr(q_NK).sum(dim=1).tolist()
    best = q_NK.max(dim=1)
    for path, category, probability, entropy in zip(
        paths, best.indices.tolist(), best.values.tolist(), entropies, strict=True
    ):
        yield Prediction(path, category, probability, entropy)


def write_predictions(predictions: Iterator[Prediction], out: IO[str]) -> int:
    """Write CSV with a header line; how many there were."""
    writer = csv.writer(out)
    writer.writerow(["path", "category", "probability", "entropy"])
    written = 0
    for p in predictions:
        writer.writerow([p.path, p.category, f"{p.probability:.6f}", f"{p.entropy:.6f}"])
        written += 1
    return written


def sample(model: Model, categories: Sequence[int], count: int, seed: int) -> NDArray[np.uint8]:
    """``count`` images of each category, uint8 [len(categories), count, C, S, S]; the same noise in every row.

    Raises:
        EigTuneError: the model has no such category.
    """
    unknown = [category for category in categories if not 0 <= category < model.categories]
    if unknown:
        raise EigTuneError(f"--category: got {unknown[0]}; this model has the categories 0 to {model.categories - 1}")
    noise = torch.randn(count, model.noise_dim, generator=torch.Generator().manual_seed(seed))
    return sample_rows(model, torch.tensor(categories), noise)


def write_samples(samples: NDArray[np.uint8], categories: Sequence[int], file: Path) -> None:
    """Write a picture (one row per category) or, for ``.npz``, the arrays ``images`` and ``categories``.

    Raises:
        EigTuneError: the file's ending is neither, or it cannot be written.
    """
    if file.suffix not in (".png", ".npz"):
        raise EigTuneError(f"--out: {file} must end in .png or .npz")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".png":
            sample_picture(samples).save(file)
        else:
            np.savez_compressed(file, images=samples, categories=np.asarray(categories))
    except OSError as error:
        raise EigTuneError(f"--out: {file} cannot be written ({error.strerror})") from error
