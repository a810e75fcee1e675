"""What MLflow has of a search, found wherever it is by now, and deleted for good where the store can do that.

A database, sqlite or a server, forgets runs at once. An MLflow server only puts them into its trash, which `mlflow gc`
empties there; their artifacts are deleted at once by both.
"""

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from eig_tune.errors import TrackingError
from eig_tune.home import size_of
from eig_tune.tracking.address import missing_file
from eig_tune.tracking.champion import CHAMPION
from eig_tune.tracking.client import PAGE, all_results, experiments, first_line, open_client, readable_errors
from eig_tune.tracking.pages import RunsTable
from eig_tune.tracking.store import DELETED
from eig_tune.tracking.tags import SEARCH_TAG, runs_of_search

_RUNS_OF_A_FILTER = 100


@dataclass(frozen=True)
class Version:
    """A version of a registered model that was made from a run of the search."""

    name: str
    number: str
    run_id: str
    champion: bool

    def __str__(self) -> str:
        return f"{self.name}/{self.number}{' (champion)' if self.champion else ''}"


@dataclass(frozen=True)
class Remains:
    """What a store has of a search.

    Attributes:
        client: MLflow's client; None where the store does not exist.
        uri: the store's address, which may contain a password.
        runs: MLflow's runs, deleted ones too.
        models: logged models of these runs.
        versions: registered ones of these models.
    """

    client: Any
    uri: str
    runs: tuple[Any, ...] = ()
    models: tuple[Any, ...] = ()
    versions: tuple[Version, ...] = ()

    def size(self) -> int | None:
        """Bytes of all artifacts; None where they do not lie on this machine."""
        folders = [_local_folder(address) for address in self._artifacts()]
        return None if None in folders else size_of(*filter(None, folders))

    def _artifacts(self) -> list[str]:
        return [run.info.artifact_uri for run in self.runs] + [model.artifact_location for model in self.models]


def find_remains(uri: str, search_id: str) -> Remains:
    """What the store at ``uri`` has of a search, whatever its experiment is called; nothing if there is no such store.

    Raises:
        TrackingError: the store cannot be reached.
    """
    if missing_file(uri) is not None or not search_id:
        return Remains(None, uri)
    with readable_errors(uri):
        client = open_client(uri)
        runs = tuple(_runs(client, search_id))
        ids = {run.info.run_id for run in runs}
        models = tuple(_models(client, {run.info.experiment_id for run in runs}, ids))
        return Remains(client, uri, runs, models, tuple(_versions(client, sorted(ids))))


def delete_remains(remains: Remains, *, versions: bool) -> bool:
    """Delete what a store has of a search.

    Args:
        remains: what it has.
        versions: delete registered versions, too. Else they are kept, and so are the runs and models that they are of.

    Returns:
        Whether the store has forgotten the runs; False if they lie in its trash.

    Raises:
        TrackingError: the store refuses, or cannot be reached; what is deleted by then is deleted.
    """
    if remains.client is None:
        return True
    kept = set[str]() if versions else {version.run_id for version in remains.versions}
    with readable_errors(remains.uri):
        if versions:
            _delete_versions(remains.client, remains.versions)
        hard = [
            _delete_model(remains, model) for model in remains.models if model.source_run_id not in kept
        ]  # fmt: skip
        hard += [_delete_run(remains, run) for run in remains.runs if run.info.run_id not in kept]
        for experiment_id, search_id in {(run.info.experiment_id, _search_of(run)) for run in remains.runs}:
            if not kept:
                _delete_table(remains.client, experiment_id, search_id)
            _delete_if_empty(remains.client, experiment_id)
    return all(hard)


def _runs(client: Any, search_id: str) -> Iterator[Any]:
    from mlflow.entities import ViewType

    for page in experiments(client, deleted=True):
        ids = [experiment.experiment_id for experiment in page]

        def look_up(token: str | None, ids: Sequence[str] = ids) -> Any:
            condition = runs_of_search(search_id)
            return client.search_runs(ids, condition, ViewType.ALL, max_results=PAGE, page_token=token)

        yield from all_results(look_up)


def _models(client: Any, experiment_ids: Collection[str], run_ids: Collection[str]) -> Iterator[Any]:
    for experiment_id in experiment_ids:

        def look_up(token: str | None, experiment_id: str = experiment_id) -> Any:
            return client.search_logged_models([experiment_id], page_token=token)

        yield from (model for model in all_results(look_up) if model.source_run_id in run_ids)


def _versions(client: Any, run_ids: Sequence[str]) -> Iterator[Version]:
    for begin in range(0, len(run_ids), _RUNS_OF_A_FILTER):
        some = run_ids[begin : begin + _RUNS_OF_A_FILTER]
        condition = f"run_id IN ({', '.join(repr(run_id) for run_id in some)})"

        def look_up(token: str | None, condition: str = condition) -> Any:
            return client.search_model_versions(condition, page_token=token)

        for version in all_results(look_up):
            champion = str(client.get_registered_model(version.name).aliases.get(CHAMPION)) == str(version.version)
            yield Version(version.name, str(version.version), version.run_id, champion)


def _delete_versions(client: Any, versions: Iterable[Version]) -> None:
    for version in versions:
        client.delete_model_version(version.name, version.number)
    for name in {version.name for version in versions}:
        if not client.search_model_versions(f"name = '{name}'", max_results=1):
            client.delete_registered_model(name)


def _delete_model(remains: Remains, model: Any) -> bool:
    remains.client.delete_logged_model(model.model_id)
    _delete_artifacts(model.artifact_location, remains.uri)
    return _forget(remains.client, "_hard_delete_logged_model", model.model_id)


def _delete_run(remains: Remains, run: Any) -> bool:
    if run.info.lifecycle_stage != DELETED:
        remains.client.delete_run(run.info.run_id)
    _delete_artifacts(run.info.artifact_uri, remains.uri)
    return _forget(remains.client, "_hard_delete_run", run.info.run_id)


def _search_of(run: Any) -> str:
    return str(run.data.tags.get(SEARCH_TAG, ""))


def _delete_table(client: Any, experiment_id: str, search_id: str) -> None:
    """Delete the table of a search's trials from an experiment that may have other searches."""
    experiment, tag = client.get_experiment(experiment_id), RunsTable(search_id, {}).tag
    if tag in experiment.tags and experiment.lifecycle_stage != DELETED:
        client.delete_experiment_tag(experiment_id, tag)


def _delete_if_empty(client: Any, experiment_id: str) -> None:
    """Let a store forget an experiment that has no run left; a server that only put it into its trash would refuse a
    new search of that name."""
    from mlflow.entities import ViewType

    if not hasattr(_store(client), "_hard_delete_experiment"):
        return
    if client.search_runs([experiment_id], "", ViewType.ALL, max_results=1):
        return
    experiment = client.get_experiment(experiment_id)
    if experiment.lifecycle_stage != DELETED:
        client.delete_experiment(experiment_id)
    _forget(client, "_hard_delete_experiment", experiment_id)
    if (folder := _local_folder(experiment.artifact_location)) is not None and folder.is_dir():
        _remove_if_empty(folder / "models", folder)


def _forget(client: Any, method: str, identifier: str) -> bool:
    """As `mlflow gc` does, where the store can."""
    forget = getattr(_store(client), method, None)
    if forget is not None:
        forget(identifier)
    return forget is not None


def _store(client: Any) -> Any:
    return client._tracking_client.store


def _delete_artifacts(address: str, uri: str) -> None:
    """Delete a folder of artifacts; on this machine with the folder of its run, which has nothing else."""
    if (folder := _local_folder(address)) is not None:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_if_empty(folder.parent)
        return
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:
        get_artifact_repository(address, tracking_uri=uri).delete_artifacts()
    except FileNotFoundError:
        return
    except Exception as error:
        raise TrackingError(f"the artifacts in {address} cannot be deleted ({first_line(error, uri)})") from None


def _remove_if_empty(*folders: Path) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _local_folder(address: str) -> Path | None:
    """Where artifacts lie on this machine; None if they lie elsewhere."""
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme in ("file", "") else None
