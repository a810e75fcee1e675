"""From a search in MLflow to a bundle, and from there into the model registry."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eig_tune.errors import CheckpointError
from eig_tune.export.bundle import PICTURES, read_bundle, write_bundle
from eig_tune.export.inference import sample
from eig_tune.reports.mlflow_runs import MODEL_FOLDER
from eig_tune.terminal.tables import metrics_document
from eig_tune.tracking import (
    TrackedSearch,
    TrackedTrial,
    download,
    has_artifact,
)
from eig_tune.tracking.champion import set_champion
from eig_tune.tracking.registry import BUNDLE, add_version, find_version, update_tags
from eig_tune.tracking.tags import DATA_TAG


@dataclass(frozen=True)
class Registered:
    """A trial as a version of a registered model.

    Attributes:
        new: the version was made just now.
        champion: it has the alias ``champion``.
        verdict: why it has it, or has it not, in words.
    """

    name: str
    version: int
    new: bool
    champion: bool
    decision: str

    def __str__(self) -> str:
        made = "registered" if self.new else "this trial is registered already"
        return f"{made}: version {self.version} of {self.name}\n{self.decision}"


def export_trial(found: TrackedSearch, chosen: TrackedTrial, directory: Path, by: str) -> None:
    """Write a trial's bundle into ``directory``.

    Raises:
        EigTuneError: ``directory`` is not empty or cannot be written.
        TrackingError: the trial's artifacts cannot be fetched.
        CheckpointError: the trial has no model, or it is damaged.
    """
    with tempfile.TemporaryDirectory() as temporary:
        fetched = Path(temporary)
        download(found.store, chosen.run_id, {MODEL_FOLDER, *PICTURES}, fetched)
        if not (fetched / MODEL_FOLDER).is_dir():
            raise CheckpointError(_no_model(found, chosen))
        where = {"search": found.name, "search_run": found.run.run_id, "trial": chosen.number}
        where |= {"mlflow_run": chosen.run_id, "chosen_by": by}
        write_bundle(
            fetched / MODEL_FOLDER,
            fetched,
            metrics_document(chosen),
            {**where, **found.provenance},
            directory,
        )


def lacks_model(found: TrackedSearch, chosen: TrackedTrial) -> str | None:
    """Why a trial cannot be exported, in words; None when its model is there.

    Raises:
        TrackingError: the store cannot be reached.
    """
    return None if has_artifact(found.store, chosen.run_id, MODEL_FOLDER) else _no_model(found, chosen)


def _no_model(found: TrackedSearch, chosen: TrackedTrial) -> str:
    remedy = "somebody has deleted it; `eig-tune train` with its parameters makes it again"
    if not chosen.complete:
        remedy = "MLflow does not have everything of that trial yet; `eig-tune search --resume` writes the rest"
    return f"trial {chosen.number} of {found.name!r} has no model in run {chosen.run_id}: {remedy}"


def register_trial(
    found: TrackedSearch,
    chosen: TrackedTrial,
    name: str,
    by: str,
    force: bool = False,
    exported: Path | None = None,
) -> Registered:
    """Make a trial a version of the registered model ``name``, once, and its champion if it is better than that.

    Args:
        by: the objective that decides which is better; the search's first one for the knee.
        force: make it the champion in any case.
        exported: the trial's bundle where it has been written already.

    Raises:
        EigTuneError: as :func:`export_trial`.
        TrackingError: the store cannot be reached, or refuses.
    """
    tags = _tags(found, chosen)
    earlier = find_version(found.store, name, chosen.run_id)
    if earlier is None:
        version = _add(found, chosen, name, by, exported, tags)
    else:
        version = earlier
        update_tags(found.store, version, tags)
    number = int(version.version)
    metric = next(iter(found.objectives)) if by == "knee" else by
    champion, decision = set_champion(found.store, name, number, tags, metric, found.objectives[metric], force)
    return Registered(name, number, earlier is None, champion, decision)


def _add(
    found: TrackedSearch, chosen: TrackedTrial, name: str, by: str, exported: Path | None, tags: dict[str, str]
) -> Any:
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary, BUNDLE)
        if exported is None:
            export_trial(found, chosen, bundle, by)
        else:
            shutil.copytree(exported, bundle)
        return add_version(found.store, name, chosen.run_id, bundle, _example(bundle), tags)


def _example(bundle: Path) -> NDArray[np.uint8]:
    """One image [1, C, S, S] such as the model draws itself."""
    _, model = read_bundle(bundle)
    (images,) = sample(model, [0], count=1, seed=0)
    return np.asarray(images, dtype=np.uint8)


def _tags(found: TrackedSearch, chosen: TrackedTrial) -> dict[str, str]:
    """Where a version came from and what it has reached, found and confirmed."""
    return {
        "search": found.name,
        "trial": str(chosen.number),
        "run_id": chosen.run_id,
        DATA_TAG: found.provenance[DATA_TAG],
        **{name: str(value) for name, value in chosen.counted.items() if not name.endswith("_seconds")},
    }
