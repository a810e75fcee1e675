"""Whole searches in one process, in which nothing is trained: everything is real but Ray and the training."""

import pytest
from world import fit

from eig_tune.data import ImageData
from eig_tune.tracking import local_uri, open_store


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store for all histories: it takes seconds to be made."""
    folder = tmp_path_factory.mktemp("mlflow")
    open_store(local_uri(folder), "made", folder)
    return local_uri(folder)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, unlabelled_digits: ImageData) -> pytest.MonkeyPatch:
    """Nothing is trained, drawn, or waited for."""
    patch = monkeypatch
    patch.setattr("eig_tune.cluster.trainable.fit", fit)
    patch.setattr("eig_tune.workflows.search.prepare_images", lambda *given, **options: unlabelled_digits)
    patch.setattr("eig_tune.workflows.search._draw", lambda *given: None)
    patch.setattr("eig_tune.workflows.search.pictures", lambda *given: [])
    patch.setattr("eig_tune.reports.mlflow_runs.draw_trial", lambda *given: None)
    patch.setattr("eig_tune.workflows.resources.start_ray", lambda *given: None)
    patch.setattr("eig_tune.stopping.Stop.listen", lambda self: None)
    patch.setattr("eig_tune.tracking.writer._GATHERING_SECONDS", 0.02)
    patch.setattr("eig_tune.tracking.writer._FIRST_WAIT", 0.02)
    patch.setattr("eig_tune.cluster.storage._WAITS", (0.0,))
    return patch
