"""Whole searches in one process, in which nothing is trained: everything is real but Ray and the training."""

from pathlib import Path

import pytest
from world import fit

from eig_tune.data import ImageData
from eig_tune.tracking import local_uri, open_store


def make_store(folder: Path) -> str:
    """A store for all searches of a module: it takes seconds to be made."""
    open_store(local_uri(folder), "made", folder)
    return local_uri(folder)


def make_quick(patch: pytest.MonkeyPatch, images: ImageData) -> None:
    """Nothing is trained, drawn, or waited for."""
    patch.setattr("eig_tune.cluster.trainable.fit", fit)
    patch.setattr("eig_tune.workflows.search.prepare_images", lambda *given, **options: images)
    patch.setattr("eig_tune.workflows.search._draw", lambda *given: None)
    patch.setattr("eig_tune.reports.results.pictures", lambda *given: [])
    patch.setattr("eig_tune.workflows.search.PageWriter.write", lambda *given: None)
    patch.setattr("eig_tune.reports.mlflow_runs.draw_trial", lambda *given: None)
    patch.setattr("eig_tune.workflows.resources.start_ray", lambda *given: None)
    patch.setattr("eig_tune.stopping.Stop.listen", lambda self: None)
    patch.setattr("eig_tune.tracking.writer._GATHERING_SECONDS", 0.02)
    patch.setattr("eig_tune.tracking.writer._FIRST_WAIT", 0.02)
    patch.setattr("eig_tune.cluster.storage._WAITS", (0.0,))
