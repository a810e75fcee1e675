"""Files of a run: uploaded and checked to be complete, looked up, downloaded."""

import re
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from eig_tune.errors import TrackingError
from eig_tune.tracking.client import first_line, readable_errors
from eig_tune.tracking.store import Store

_IMAGES = "images"  # the folder in which MLflow puts them


def upload(client: Any, run_id: str, directory: Path, folder: str) -> None:
    """Log the files of ``directory`` as artifacts of a run, in its ``folder``; the run itself when that is empty.

    Raises:
        TrackingError: one of them is missing in MLflow afterwards, or incomplete.
    """
    if not any(directory.iterdir()):
        return
    client.log_artifacts(run_id, str(directory), folder or None)
    sizes = {artifact.path: artifact.file_size for artifact in client.list_artifacts(run_id, folder or None)}
    for file in directory.iterdir():
        path, size = f"{folder}/{file.name}".strip("/"), file.stat().st_size
        # Not every artifact store reports sizes.
        if path not in sizes or sizes[path] not in (size, None):
            found = "nothing" if path not in sizes else f"{sizes[path]:,} bytes"
            raise TrackingError(f"run {run_id}: MLflow has {found} of its artifact {path}, which has {size:,} bytes")


def has_artifact(store: Store, run_id: str, path: str) -> bool:
    """Whether a run has a file or folder of that name among its artifacts.

    Raises:
        TrackingError: the store cannot be reached.
    """
    with readable_errors(store.uri):
        return any(artifact.path == path for artifact in store.client.list_artifacts(run_id))


def download(store: Store, run_id: str, paths: Collection[str], destination: Path) -> None:
    """Download the files and folders ``paths`` among a run's artifacts; what is not there is left out.

    Raises:
        TrackingError: one cannot be downloaded.
    """
    from mlflow.exceptions import MlflowException

    try:
        for artifact in store.client.list_artifacts(run_id):
            if artifact.path in paths:
                store.client.download_artifacts(run_id, artifact.path, str(destination))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"run {run_id}: its artifacts cannot be fetched ({first_line(error, store.uri)})"
        ) from error


def download_series(store: Store, run_id: str, name: str, most: int) -> dict[int, bytes]:
    """The pictures of a series that MLflow's ``log_image`` has logged, PNG files by step.

    Args:
        store: an open store.
        run_id: the run.
        name: of the series.
        most: pictures; of more as many are taken evenly, the first and the last among them.

    Raises:
        TrackingError: one cannot be downloaded.
    """
    from mlflow.exceptions import MlflowException

    # NAME+step+250+timestamp+1730+ID.png; older versions of MLflow have % for +.
    named = re.compile(rf"{re.escape(name)}[+%]step[+%](\d+)[+%].*\.png")
    try:
        paths = [artifact.path for artifact in store.client.list_artifacts(run_id, _IMAGES)]
        matched = {path: named.fullmatch(path.rpartition("/")[2]) for path in paths}
        by_step = {int(found[1]): path for path, found in matched.items() if found}
        with tempfile.TemporaryDirectory() as folder:
            return {
                step: Path(store.client.download_artifacts(run_id, by_step[step], folder)).read_bytes()
                for step in _evenly(sorted(by_step), most)
            }
    except (MlflowException, OSError) as error:
        raise TrackingError(f"run {run_id}: its pictures cannot be fetched ({first_line(error, store.uri)})") from error


def _evenly(steps: list[int], most: int) -> list[int]:
    if len(steps) <= most:
        return steps
    return [steps[round(index * (len(steps) - 1) / (most - 1))] for index in range(most)]
