"""What is recorded of a search so that it can be repeated: the resolved space, versions and the git commit."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import yaml

from eig_tune.config.space import SearchSpec

SPEC_FILE = "resolved_space.yaml"
_LIBRARIES = ("eig-tune", "ray", "optuna", "mlflow", "torch", "torchvision", "numpy", "scikit-learn")


def provenance() -> dict[str, str]:
    """Versions and git commit, as tags of the search's run in MLflow."""
    versions = {f"version.{library}": version(library) for library in _LIBRARIES}
    return {**versions, "version.python": platform.python_version(), "git_commit": _git_commit()}


def write_spec(spec: SearchSpec, folder: Path) -> None:
    """Write the resolved space as YAML into ``folder``."""
    document = spec.model_dump(mode="json", exclude_none=True)
    (folder / SPEC_FILE).write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _git_commit() -> str:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"
