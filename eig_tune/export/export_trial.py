"""From a trial in MLflow to its bundle in a folder."""

import tempfile
from pathlib import Path
from typing import Any

from eig_tune.errors import CheckpointError
from eig_tune.export.bundle import PICTURES, write_bundle
from eig_tune.export.merge import merge_categories, parse_merge_to
from eig_tune.export.trial_models import TrialModel
from eig_tune.models.base import Model
from eig_tune.reports.categories import CATEGORIES_JSON, Category, read_categories
from eig_tune.reports.groups import Groups, describe_groups
from eig_tune.reports.mlflow_runs import MODEL_FOLDER
from eig_tune.tracking import TrackedSearch, TrackedTrial, download, has_artifact
from eig_tune.training.checkpoint import RunRecord
from eig_tune.training.loop import read_model


def export_trial(
    found: TrackedSearch,
    chosen: TrackedTrial,
    model: TrialModel,
    directory: Path,
    by: str,
    merge_to: str | None = None,
) -> Groups | None:
    """Write the bundle of a trial's model into ``directory``; its MLflow run shows groups of its categories, too.

    Args:
        found: the search.
        chosen: the trial.
        model: which of its models.
        directory: a new or empty folder.
        by: what the trial was chosen by, which the bundle records.
        merge_to: put its categories together into so many groups, a number or ``auto``; None leaves them apart.

    Returns:
        The groups; None where there are none.

    Raises:
        EigTuneError: ``directory`` is not empty or cannot be written, or there are no such groups.
        TrackingError: the trial's artifacts cannot be downloaded.
        CheckpointError: the trial has no model, or it is damaged.
    """
    count = None if merge_to is None else parse_merge_to(merge_to)
    with tempfile.TemporaryDirectory() as temporary:
        fetched = Path(temporary)
        download(found.store, model.run_id, {MODEL_FOLDER, CATEGORIES_JSON, *PICTURES}, fetched)
        if not (fetched / MODEL_FOLDER).is_dir():
            raise CheckpointError(_no_model(found, chosen, model))
        where = {"search": found.name, "search_run": found.run.run_id, "trial": chosen.number}
        where |= {"mlflow_run": model.run_id, "chosen_by": by, "seed": model.seed, "seed_chosen": model.why}
        provenance = {**where, **found.provenance}
        groups = None if merge_to is None else merge_categories(fetched / MODEL_FOLDER, count)
        write_bundle(fetched / MODEL_FOLDER, fetched, _metrics(chosen, model), provenance, directory, groups)
        if groups is not None:
            before = found.store.description(model.run_id)
            found.store.describe(model.run_id, describe_groups(groups, before))
        return groups


def read_trial_model(found: TrackedSearch, chosen: TrackedTrial, model: TrialModel) -> tuple[RunRecord, Model]:
    """The run and the network of a trial's model.

    Raises:
        TrackingError: the trial's artifacts cannot be downloaded.
        CheckpointError: the trial has no model, or it is damaged.
    """
    with tempfile.TemporaryDirectory() as temporary:
        download(found.store, model.run_id, {MODEL_FOLDER}, Path(temporary))
        if not Path(temporary, MODEL_FOLDER).is_dir():
            raise CheckpointError(_no_model(found, chosen, model))
        return read_model(Path(temporary, MODEL_FOLDER))


def read_trial_categories(found: TrackedSearch, model: TrialModel) -> list[Category]:
    """What the categories of a model are; empty where MLflow does not have it.

    Raises:
        TrackingError: the trial's artifacts cannot be downloaded.
    """
    with tempfile.TemporaryDirectory() as temporary:
        download(found.store, model.run_id, {CATEGORIES_JSON}, Path(temporary))
        return read_categories(Path(temporary))


def lacks_model(found: TrackedSearch, chosen: TrackedTrial, model: TrialModel) -> str | None:
    """Why a trial cannot be exported, in a sentence; None when MLflow has its model.

    Raises:
        TrackingError: the store cannot be reached.
    """
    return None if has_artifact(found.store, model.run_id, MODEL_FOLDER) else _no_model(found, chosen, model)


def _no_model(found: TrackedSearch, chosen: TrackedTrial, model: TrialModel) -> str:
    remedy = "it was deleted; `eig-tune train` with its parameters makes it again"
    if not chosen.complete:
        remedy = "MLflow does not have everything of that trial yet; `eig-tune search --resume` writes the rest"
    return f"trial {chosen.number} of {found.name!r} has no model in run {model.run_id}: {remedy}"


def _metrics(chosen: TrackedTrial, model: TrialModel) -> dict[str, Any]:
    """What a model and its trial have reached, as its bundle records it."""
    return {
        "model": dict(model.metrics),
        "found": dict(chosen.found),
        "confirmed": chosen.confirmed,
        "confirmed_deviations": chosen.confirmed_deviations,
    }
