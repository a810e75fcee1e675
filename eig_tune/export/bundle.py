"""The bundle: weights, config, metrics and samples of one model, in one folder."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eig_tune.errors import EigTuneError
from eig_tune.training import checkpoint

WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
PICTURES = ("samples.png", "category_class_table.png", "prior.png")


def write_bundle(
    model: Path, pictures: Path, metrics: Mapping[str, float], provenance: Mapping[str, Any], directory: Path
) -> None:
    """Write a bundle into ``directory``, whole or not at all.

    Args:
        model: a checkpoint without its training state, as a trial's ``model`` artifact.
        pictures: a folder with the trial's pictures.
        metrics: the trial's metrics at its last step.
        provenance: where the model came from: search, trial, run.

    Raises:
        EigTuneError: ``directory`` is not empty or cannot be written.
        CheckpointError: the model is damaged.
    """
    if directory.exists() and any(directory.iterdir()):
        raise EigTuneError(f"--export: {directory} is not empty; give a new folder")
    partial = directory.with_name(f".{directory.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(model, pictures, metrics, provenance, partial)
        if directory.exists():
            directory.rmdir()
        partial.replace(directory)
    except OSError as error:
        raise EigTuneError(f"--export: {directory} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(
    model: Path, pictures: Path, metrics: Mapping[str, float], provenance: Mapping[str, Any], directory: Path
) -> None:
    record = checkpoint.read_run(model)
    checkpoint.read_tensors(model)
    shutil.copy(model / checkpoint.TENSORS_FILE, directory / WEIGHTS_FILE)
    config = {**vars(record), "config": record.config.model_dump(mode="json"), "provenance": dict(provenance)}
    (directory / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    (directory / METRICS_FILE).write_text(json.dumps(dict(sorted(metrics.items())), indent=2) + "\n")
    for picture in PICTURES:
        if (pictures / picture).is_file():
            shutil.copy(pictures / picture, directory / picture)
