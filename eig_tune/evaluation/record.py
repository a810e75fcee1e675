"""An evaluation as files: what a checkpoint carries for whoever looks at it later.

Shape suffixes: K categories.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eig_tune.errors import CheckpointError
from eig_tune.evaluation.category_picture import category_picture
from eig_tune.evaluation.evaluator import Evaluation
from eig_tune.evaluation.sample_grid import row_labels, sample_picture

EVALUATION_FILE = "evaluation.json"
SAMPLES_FILE = "samples.png"
CATEGORIES_FILE = "categories.png"
_OF_CATEGORIES = ("real_share", "mean_probability", "alike")


@dataclass(frozen=True)
class CategoryRecord:
    """What is kept of a :class:`~eig_tune.evaluation.categories.CategoryView`, and its images as a picture."""

    real_share: NDArray[np.float64]
    mean_probability: NDArray[np.float64]
    alike: NDArray[np.float64]
    picture: Image.Image


@dataclass(frozen=True)
class EvaluationRecord:
    """What :func:`write_evaluation` has kept of an :class:`Evaluation`, and its samples as a picture.

    ``categories`` is None where they were not kept, as of a checkpoint that an older version has written.
    """

    metrics: dict[str, float]
    table: NDArray[np.float64] | None
    prior: NDArray[np.float64]
    class_distribution: NDArray[np.float64] | None
    samples: Image.Image
    categories: CategoryRecord | None = None


def write_evaluation(evaluation: Evaluation, directory: Path) -> None:
    """Write metrics, table, prior and assigned categories as JSON and the samples as PNG into ``directory``."""
    document = {
        "metrics": evaluation.metrics,
        "table": _listed(evaluation.table),
        "prior": evaluation.prior.tolist(),
        "class_distribution": _listed(evaluation.class_distribution),
        "categories": {
            "real_share": evaluation.categories.real_share_K.tolist(),
            "mean_probability": evaluation.categories.mean_probability_K.tolist(),
            "alike": evaluation.categories.alike_KK.round(4).tolist(),
        },
        "assigned": evaluation.assigned.tolist(),
    }
    (directory / EVALUATION_FILE).write_text(json.dumps(document))
    sample_picture(evaluation.samples, row_labels(evaluation.prior)).save(directory / SAMPLES_FILE)
    picture = category_picture(evaluation.samples, evaluation.prior, evaluation.categories)
    picture.save(directory / CATEGORIES_FILE)


def read_evaluation(directory: Path) -> EvaluationRecord:
    """Read what :func:`write_evaluation` wrote.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    try:
        document = json.loads((directory / EVALUATION_FILE).read_text())
        with Image.open(directory / SAMPLES_FILE) as picture:
            samples = picture.copy()
        return EvaluationRecord(
            metrics=document["metrics"],
            table=_array(document["table"]),
            prior=np.asarray(document["prior"], dtype=np.float64),
            class_distribution=_array(document["class_distribution"]),
            samples=samples,
            categories=_read_categories(document.get("categories"), directory),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{directory}: not a whole checkpoint ({error})") from error


def _read_categories(document: dict[str, Any] | None, directory: Path) -> CategoryRecord | None:
    if document is None or not (directory / CATEGORIES_FILE).is_file():
        return None
    with Image.open(directory / CATEGORIES_FILE) as picture:
        arrays = {name: np.asarray(document[name], dtype=np.float64) for name in _OF_CATEGORIES}
        return CategoryRecord(**arrays, picture=picture.copy())


@dataclass(frozen=True)
class MergingRecord:
    """What is needed to put categories together: how much they look alike, their prior, and, where there are labels,
    the category × class table and the true class distribution."""

    alike: NDArray[np.float64]
    prior: NDArray[np.float64]
    table: NDArray[np.float64] | None
    class_distribution: NDArray[np.float64] | None


def read_merging(directory: Path) -> MergingRecord:
    """The numbers alone, of a folder that has no pictures.

    Raises:
        CheckpointError: the file is missing or damaged, or of a version that did not write them.
    """
    try:
        document = json.loads((directory / EVALUATION_FILE).read_text())
        return MergingRecord(
            alike=np.asarray(document["categories"]["alike"], dtype=np.float64),
            prior=np.asarray(document["prior"], dtype=np.float64),
            table=_array(document["table"]),
            class_distribution=_array(document["class_distribution"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{directory}: does not say which categories look alike ({error})") from error


def read_assigned(directory: Path) -> NDArray[np.int64]:
    """The category that each of the training images [N] was given.

    Raises:
        CheckpointError: the file is missing or damaged, or of a version that did not write them.
    """
    try:
        document = json.loads((directory / EVALUATION_FILE).read_text())
        return np.asarray(document["assigned"], dtype=np.int64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{directory}: has no assigned categories ({error})") from error


def _listed(array: NDArray[np.float64] | None) -> list[float] | None:
    return None if array is None else array.tolist()


def _array(value: list[float] | None) -> NDArray[np.float64] | None:
    return None if value is None else np.asarray(value, dtype=np.float64)
