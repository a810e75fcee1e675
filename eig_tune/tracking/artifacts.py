"""Files of a run, brought to MLflow and seen to be there whole."""

from pathlib import Path
from typing import Any

from eig_tune.errors import TrackingError


def upload(client: Any, run_id: str, directory: Path, folder: str) -> None:
    """Log the files of ``directory`` as artifacts of a run, in its ``folder``; the run itself when that is empty.

    Raises:
        TrackingError: one of them is not there afterwards, or not in its whole length.
    """
    client.log_artifacts(run_id, str(directory), folder or None)
    sizes = {artifact.path: artifact.file_size for artifact in client.list_artifacts(run_id, folder or None)}
    for file in directory.iterdir():
        path, size = f"{folder}/{file.name}".strip("/"), file.stat().st_size
        # Not every artifact store tells sizes.
        if path not in sizes or sizes[path] not in (size, None):
            found = "nothing" if path not in sizes else f"{sizes[path]:,} bytes"
            raise TrackingError(f"run {run_id}: MLflow has {found} of its artifact {path}, which has {size:,} bytes")
