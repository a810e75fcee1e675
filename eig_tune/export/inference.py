"""Using a bundle: categories of images, and images of categories.

Shape suffixes: N images, K categories.
"""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from eig_tune.data.batches import to_unit_range
from eig_tune.data.left_out import LeftOut, cell, counted, named
from eig_tune.data.listing import list_images
from eig_tune.data.pixels import Unreadable, formats, read_image
from eig_tune.data.reading import in_parallel
from eig_tune.errors import DataError, EigTuneError
from eig_tune.evaluation.evaluator import sample_rows
from eig_tune.evaluation.sample_grid import row_labels, sample_picture
from eig_tune.models.base import Model
from eig_tune.training.checkpoint import RunRecord

_BATCH = 256


@dataclass(frozen=True)
class Prediction:
    """One image's most probable category, how probable it is, the entropy of Q(c|x) in nats, and the category's group.

    ``group`` is None where the bundle's categories are not put together.
    """

    path: Path
    category: int
    probability: float
    entropy: float
    group: int | None = None


def find_images(sources: Sequence[Path]) -> tuple[list[Path], list[LeftOut]]:
    """The image files among ``sources`` and below those that are folders, sorted, and what was left out.

    Folders are read as a search reads them; a file that is named itself is tried, whatever it is called.

    Raises:
        DataError: a source does not exist or cannot be listed, or there is no image at all.
    """
    files, left_out = list[Path](), list[LeftOut]()
    for source in sources:
        try:
            listing = list_images(source) if source.is_dir() else None
            os.lstat(source)
        except FileNotFoundError as error:
            raise DataError(f"there is no {named([str(source)])}; give image files, or a folder of them") from error
        except OSError as error:
            raise DataError(f"{named([str(source)])} cannot be read ({error.strerror})") from error
        files += [source] if listing is None else [source / file.path for file in listing.files]
        left_out += [LeftOut(str(source / each.path), each.reason) for each in listing.left_out] if listing else []
    if not files:
        why = f" (left out: {counted(left_out)})" if left_out else ""
        raise DataError(f"no image in {named([*map(str, sources)])}{why}; {', '.join(formats())} are read")
    return files, left_out


def predict(
    record: RunRecord,
    model: Model,
    files: Sequence[Path],
    on_left_out: Callable[[LeftOut], None],
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Iterator[Prediction]:
    """Categories of the images in ``files``, in their order, batch by batch.

    Args:
        record: the bundle's.
        model: the bundle's.
        files: images, such as :func:`find_images` finds.
        on_left_out: called with every file that cannot be read, which gets no prediction.
        on_progress: called with (files done, files in all).
    """

    def read(path: Path) -> NDArray[np.uint8] | LeftOut:
        try:
            return read_image(path, record.image_size, record.channels)
        except Unreadable as error:
            return LeftOut(str(path), str(error))

    results = in_parallel(read, files, on_progress)
    for start in range(0, len(files), _BATCH):
        paths, pixels = list[Path](), list[NDArray[np.uint8]]()
        for path, result in zip(files[start : start + _BATCH], results, strict=False):
            if isinstance(result, LeftOut):
                on_left_out(result)
            else:
                paths.append(path)
                pixels.append(result)
        if pixels:
            yield from _predict_batch(record.groups, model, paths, np.stack(pixels))


def _predict_batch(
    groups: Sequence[int], model: Model, paths: Sequence[Path], pixels: NDArray[np.uint8]
) -> Iterator[Prediction]:
    q_NK = model.category_logits(to_unit_range(torch.tensor(pixels))).softmax(dim=1)
    entropies = torch.special.entr(q_NK).sum(dim=1).tolist()
    best = q_NK.max(dim=1)
    for path, category, probability, entropy in zip(
        paths, best.indices.tolist(), best.values.tolist(), entropies, strict=True
    ):
        yield Prediction(path, category, probability, entropy, groups[category] if groups else None)


def write_predictions(predictions: Iterator[Prediction], out: IO[str], *, grouped: bool = False) -> int:
    """Write CSV with a header line; paths are escaped by :func:`eig_tune.data.left_out.cell`.

    Args:
        predictions: one line each.
        out: where to write.
        grouped: the bundle has groups, which get a column.

    Returns:
        How many predictions there were.
    """
    writer = csv.writer(out)
    writer.writerow(["path", "category", "probability", "entropy", *(["group"] if grouped else [])])
    written = 0
    for p in predictions:
        row = [cell(str(p.path)), p.category, f"{p.probability:.6f}", f"{p.entropy:.6f}"]
        writer.writerow([*row, p.group] if grouped else row)
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


def write_samples(samples: NDArray[np.uint8], categories: Sequence[int], file: Path, prior: NDArray[Any]) -> None:
    """Write a picture (one row per category, with its number and learned share) or, for ``.npz``, the arrays ``images``
    and ``categories``.

    Args:
        samples: images [len(categories), count, C, S, S].
        categories: of the rows.
        file: ends in ``.png`` or ``.npz``.
        prior: the learned shares of all categories of the model.

    Raises:
        EigTuneError: the file's ending is neither, or it cannot be written.
    """
    if file.suffix not in (".png", ".npz"):
        raise EigTuneError(f"--out: {file} must end in .png or .npz")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".png":
            sample_picture(samples, row_labels(prior, categories)).save(file)
        else:
            np.savez_compressed(file, images=samples, categories=np.asarray(categories))
    except OSError as error:
        raise EigTuneError(f"--out: {file} cannot be written ({error.strerror})") from error
