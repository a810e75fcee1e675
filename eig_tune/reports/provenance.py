"""What is recorded of a search so that it can be repeated: the resolved space, versions and the git commit."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import yaml

import eig_tune
from eig_tune.config.space import SearchSpec

SPEC_FILE = "resolved_space.yaml"
#: The commit that an image was built from, which has no repository in it; docker/Dockerfile sets it.
COMMIT_VARIABLE = "EIG_TUNE_GIT_COMMIT"
_LIBRARIES = ("eig-tune", "ray", "optuna", "mlflow", "torch", "torchvision", "numpy", "scikit-learn")
_UNKNOWN = "unknown"


def provenance() -> dict[str, str]:
    """Versions and git commit, as tags of the search's run in MLflow."""
    versions = {f"version.{library}": version(library) for library in _LIBRARIES}
    return {**versions, "version.python": platform.python_version(), "git_commit": git_commit()}


def write_spec(spec: SearchSpec, folder: Path) -> None:
    """Write the resolved space as YAML into ``folder``."""
    document = spec.model_dump(mode="json", exclude_none=True)
    (folder / SPEC_FILE).write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def git_commit(package: Path | None = None) -> str:
    """The commit of eig-tune's own code, whatever repository the command is run in.

    Args:
        package: the folder of the code; None is the imported one.

    Returns:
        The hash of the commit, with ``-dirty`` where files differ from it; that of the image's build in an image;
        ``unknown`` where neither is there, as after ``pip install``.
    """
    if built_from := os.environ.get(COMMIT_VARIABLE):
        return built_from
    folder = package or Path(eig_tune.__file__).parent
    # An environment may lie inside of another project's repository, to which the installed code does not belong.
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return _UNKNOWN
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or _UNKNOWN


def _git(folder: Path, *command: str) -> str | None:
    """What git prints; None where there is no git, no repository, or an error."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *command], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
