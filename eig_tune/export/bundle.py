"""The bundle: one model with its configuration, metrics and provenance, in one folder that needs nothing else.

A bundle may come from an untrusted source. So weights are safetensors, everything else is JSON, PNG or Markdown, each
file's SHA-256 is on a list, and eig-tune never runs anything in a bundle; the programs in it are for other runtimes.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eig_tune import strict_json
from eig_tune.errors import CheckpointError, EigTuneError, one_line
from eig_tune.export.card import model_card
from eig_tune.export.programs import write_programs
from eig_tune.models.base import Model
from eig_tune.paths import expanded
from eig_tune.reports.categories import CATEGORIES_JSON, CATEGORIES_PICTURE, read_categories
from eig_tune.reports.groups import Groups
from eig_tune.tracking.registry import MODELS, download_bundle
from eig_tune.training import checkpoint
from eig_tune.training.loop import model_of

WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
CARD_FILE = "README.md"
SUMS_FILE = "sha256.json"
PICTURES = (CATEGORIES_PICTURE, "samples.png", "category_class_table.png", "prior.png")
_LARGEST_JSON = 10_000_000


def write_bundle(
    model: Path,
    pictures: Path,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    directory: Path,
    groups: Groups | None = None,
) -> None:
    """Write a bundle into ``directory``, completely or not at all.

    Args:
        model: a checkpoint without its training state, as a trial's ``model`` artifact.
        pictures: a folder with the trial's pictures and the table of its categories.
        metrics: what the model has reached, found and confirmed.
        provenance: where the model came from: search, trial, run, data, versions.
        directory: a new or empty folder.
        groups: how its categories are put together; None leaves them as they are.

    Raises:
        EigTuneError: ``directory`` is not empty or cannot be written, or a program differs from the model.
        CheckpointError: the model is damaged.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise EigTuneError(f"--export: {directory} is there already; give a new folder")
    partial = directory.with_name(f".{directory.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(model, pictures, metrics, provenance, partial, groups)
        if directory.exists():
            directory.rmdir()
        partial.replace(directory)
    except OSError as error:
        raise EigTuneError(f"--export: {directory} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(
    model: Path,
    pictures: Path,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    directory: Path,
    groups: Groups | None,
) -> None:
    record = checkpoint.read_run(model)
    tensors = checkpoint.read_tensors_file(model / checkpoint.TENSORS_FILE, record.step)
    shutil.copy(model / checkpoint.TENSORS_FILE, directory / WEIGHTS_FILE)
    network = model_of(record, tensors)
    differences = write_programs(network, record.image_size, record.channels, directory)
    if groups is not None:
        record = replace(record, groups=groups.of_category)
        metrics = {**metrics, "groups": {"shares": list(groups.shares), **groups.metrics}}
    config = {
        **checkpoint.as_document(record),
        "provenance": dict(provenance),
        "largest_difference_to_model": differences,
    }
    _write_json(directory / CONFIG_FILE, config)
    _write_json(directory / METRICS_FILE, metrics)
    for file in (CATEGORIES_JSON, *PICTURES):
        if (pictures / file).is_file():
            shutil.copy(pictures / file, directory / file)
    shown = [picture for picture in PICTURES if (directory / picture).is_file()]
    (directory / CARD_FILE).write_text(
        model_card(record, network.noise_dim, metrics, provenance, shown, read_categories(directory), groups),
        encoding="utf-8",
    )
    _write_json(directory / SUMS_FILE, {file.name: _sha256(file) for file in sorted(directory.iterdir())})


def open_bundle(source: str, uri: str) -> tuple[checkpoint.RunRecord, Model]:
    """The run and the model of a bundle; its contents are checked, wherever it comes from.

    Args:
        source: a folder, or a registered model as ``models:/NAME@ALIAS`` or ``models:/NAME/3``.
        uri: the MLflow store with the registered model; a folder needs none.

    Raises:
        CheckpointError: it is no bundle, or a file of it is missing or was changed.
        ResultError: there is no such model.
        TrackingError: the store cannot be reached.
    """
    if not source.startswith(MODELS):
        return read_bundle(expanded(Path(source), "BUNDLE"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = download_bundle(uri, source, Path(temporary))
        try:
            return read_bundle(folder)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(str(folder), source)) from error


def read_bundle(directory: Path) -> tuple[checkpoint.RunRecord, Model]:
    """The run and the model of a bundle, from its JSON and its weights alone.

    Raises:
        CheckpointError: it is no bundle, or a file of it is missing or was changed.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: there is no such bundle; give a folder that `best --export` wrote")
    _check_sums(directory)
    record = checkpoint.parse_run(_read_json(directory / CONFIG_FILE), directory)
    tensors = checkpoint.read_tensors_file(directory / WEIGHTS_FILE, record.step)
    return record, model_of(record, tensors)


def _check_sums(directory: Path) -> None:
    sums = _read_json(directory / SUMS_FILE)
    if not isinstance(sums, dict) or not {WEIGHTS_FILE, CONFIG_FILE} <= sums.keys():
        raise CheckpointError(f"{directory}: {SUMS_FILE} is not a bundle's list of files")
    for name, digest in sums.items():
        file = directory / name
        if Path(name).name != name or file.is_symlink():
            raise CheckpointError(f"{directory}: {name!r} lies outside of the bundle")
        if not file.is_file() or _sha256(file) != digest:
            raise CheckpointError(f"{directory}: {name!r} is missing or was changed; export the bundle again")


def _read_json(file: Path) -> Any:
    try:
        if file.stat().st_size > _LARGEST_JSON:
            raise CheckpointError(f"{file}: larger than any such file of a bundle")
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file.parent}: not a bundle ({file.name}: {one_line(error)})") from error


def _write_json(file: Path, document: Mapping[str, Any]) -> None:
    file.write_text(strict_json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
