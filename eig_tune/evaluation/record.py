"""An evaluation as files: what a checkpoint carries for whoever looks at it later."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eig_tune.errors import CheckpointError
from eig_tune.evaluation import figures
from eig_tune.evaluation.evaluator import Evaluation

EVALUATION_FILE = "evaluation.json"
SAMPLES_FILE = "samples.png"


@dataclass(frozen=True)
class EvaluationRecord:
    """What :func:`write_evaluation` has kept of an :class:`Evaluation`, and its samples as a picture."""

    metrics: dict[str, float]
    table: NDArray[np.float64] | None
    prior: NDArray[np.float64]
    class_distribution: NDArray[np.float64] | None
    samples: Image.Image


def write_evaluation(evaluation: Evaluation, directory: Path) -> None:
    """Write metrics, table and prior as JSON and the samples as PNG into ``directory``."""
    document = {
        "metrics": evaluation.metrics,
        "table": _listed(evaluation.table),
        "prior": evaluation.prior.tolist(),
        "class_distribution": _listed(evaluation.class_distribution),
    }
    (directory / EVALUATION_FILE).write_text(json.dumps(document))
    figures.sample_picture(evaluation.samples).save(directory / SAMPLES_FILE)


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
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{directory}: not a whole checkpoint ({error})") from error


def _listed(array: NDArray[np.float64] | None) -> list[float] | None:
    return None if array is None else array.tolist()


def _array(value: list[float] | None) -> NDArray[np.float64] | None:
    return None if value is None else np.asarray(value, dtype=np.float64)
