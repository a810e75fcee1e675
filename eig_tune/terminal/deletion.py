"""What the deletion of a search will delete, and what it has freed, in words."""

from rich.filesize import decimal

from eig_tune.terminal.overview import in_words
from eig_tune.tracking import masked
from eig_tune.tracking.removal import Remains
from eig_tune.workflows.delete import Deletion


def deletion_in_words(deletion: Deletion) -> list[str]:
    """One line for each place in which the search has something."""
    search = deletion.search
    lines = [in_words(search), f"  event log and reports: {decimal(deletion.kept)} in {search.home.study(search.name)}"]
    checkpoints = "of unknown size" if deletion.checkpoints is None else decimal(deletion.checkpoints)
    lines.append(f"  checkpoints: {checkpoints} in {deletion.storage.uri}")
    if deletion.remains is not None:
        lines += _remains_in_words(deletion.remains)
    elif deletion.original is not None:
        lines.append(f"  this home is a copy of {deletion.original}: what both share in MLflow is left as it is")
    else:
        lines.append("  MLflow is left as it is")
    return lines


def freed_in_words(deletion: Deletion, freed: int, forgotten: bool, versions: bool) -> list[str]:
    """What was freed, and what is still there."""
    lines = [f"{deletion.search.name} is deleted: {decimal(freed)} freed"]
    remains = deletion.remains
    if remains is not None and remains.versions and not versions:
        lines.append(f"kept: {_versions(remains)}, with the runs that they are of")
    if not forgotten:
        lines.append("MLflow's server keeps the runs in its trash; `mlflow gc`, run there, empties it")
    return lines


def _remains_in_words(remains: Remains) -> list[str]:
    if not remains.runs:
        return [f"  MLflow: nothing in {masked(remains.uri)}"]
    size = remains.size()
    with_artifacts = "with their artifacts" if size is None else f"with {decimal(size)} of artifacts"
    lines = [f"  MLflow: {len(remains.runs)} runs {with_artifacts} in {masked(remains.uri)}"]
    return [*lines, f"  registered: {_versions(remains)}"] if remains.versions else lines


def _versions(remains: Remains) -> str:
    count = "the version" if len(remains.versions) == 1 else "the versions"
    return f"{count} {', '.join(map(str, remains.versions))}"
