"""An open MLflow store: the experiment of one search in it, also where it was renamed or deleted, and its runs."""

import getpass
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eig_tune.errors import ResultError, one_line
from eig_tune.tracking.address import file_of, is_database, is_local
from eig_tune.tracking.client import PAGE, all_results, experiments, open_client, readable_errors
from eig_tune.tracking.tags import DESCRIPTION_TAG, KEY_TAG, KIND_TAG, PARENT_TAG, runs_of_search

logger = logging.getLogger(__name__)

DELETED = "deleted"  # MLflow's lifecycle stage of what is in its trash


@dataclass(frozen=True)
class Store:
    """An open MLflow store and the experiment of one search in it; ``uri`` may contain a password.

    Attributes:
        name: the search's; its experiment may have been renamed.
    """

    client: Any
    uri: str
    experiment_id: str
    name: str

    def searches(self) -> list[Any]:
        """The parent runs of all searches in the experiment, the newest first."""
        return list(self._search(f"tags.`{KIND_TAG}` = 'search'"))

    def trial_runs(self, parent_id: str) -> list[Any]:
        """Every run of a trial below the parent run ``parent_id``, in no certain order."""
        return self.runs_below(parent_id, "trial")

    def runs_below(self, parent_id: str, kind: str) -> list[Any]:
        """Every run of a kind right below the run ``parent_id``, in no certain order."""
        return list(self._search(f"tags.`{PARENT_TAG}` = '{parent_id}' and tags.`{KIND_TAG}` = '{kind}'"))

    def runs_of(self, search_id: str, key: str | None = None) -> list[Any]:
        """Every run with the id of a search: its parent run, children and grandchildren; with ``key``, only the runs
        of that key, which the parent run does not have."""
        condition = "" if key is None else f" and tags.`{KEY_TAG}` = '{key}'"
        return list(self._search(runs_of_search(search_id) + condition))

    def description(self, run_id: str) -> str:
        """The description of a run; empty where it has none.

        Raises:
            TrackingError: the store cannot be reached.
        """
        with readable_errors(self.uri):
            return str(self.client.get_run(run_id).data.tags.get(DESCRIPTION_TAG, ""))

    def describe(self, run_id: str, markdown: str) -> None:
        """Set the description of a run, which the UI shows.

        Raises:
            TrackingError: the store cannot be reached.
        """
        with readable_errors(self.uri):
            self.client.set_tag(run_id, DESCRIPTION_TAG, markdown)

    def answers(self) -> bool:
        """Whether the store can be reached at all."""
        try:
            self.client.get_experiment(self.experiment_id)
        except Exception:
            return False
        return True

    def _search(self, condition: str) -> Iterator[Any]:
        def look_up(token: str | None) -> Any:
            return self.client.search_runs([self.experiment_id], condition, max_results=PAGE, page_token=token)

        return all_results(look_up)


def user_name() -> str:
    """The user: the login of the MLflow server if there is one, else that of this machine."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"uid {os.getuid()}"


def open_store(uri: str, name: str, home: Path, resumed: str | None = None) -> Store:
    """Open the store at ``uri`` and the experiment ``name``, making either when it does not exist.

    Args:
        uri: the store's address.
        name: the search's name, which is that of its experiment.
        home: where artifacts lie if the store is a database server. An MLflow server has its own place for them, and
            those of a sqlite file lie beside it, so that moving one home does not take away another one's artifacts.
        resumed: the id of a search that may have runs there already: their experiment is opened, whatever it is called
            now, and what was deleted of them is restored.

    Raises:
        TrackingError: the store cannot be reached or written.
        ResultError: the experiment was deleted.
    """
    artifacts = (file_of(uri).parent if is_local(uri) else home).resolve() / "artifacts"
    with readable_errors(uri):
        client = open_client(uri, make_in=artifacts)
        if resumed is not None and (own := _experiment_of(client, resumed, name)) is not None:
            _restore(client, own, resumed, name)
            return Store(client, uri, own.experiment_id, name)
        if (experiment := client.get_experiment_by_name(name)) is not None:
            _refuse_deleted(experiment)
            return Store(client, uri, experiment.experiment_id, name)
        location = (artifacts / name).as_uri() if is_local(uri) or is_database(uri) else None
        return Store(client, uri, _new_experiment(client, name, location), name)


def _refuse_deleted(experiment: Any) -> None:
    if experiment.lifecycle_stage == DELETED:
        raise ResultError(
            f"--name: the MLflow experiment {experiment.name!r} was deleted; give another name, bring it back "
            f"(mlflow experiments restore --experiment-id {experiment.experiment_id}), or remove it for good "
            f"(mlflow gc --experiment-ids {experiment.experiment_id})"
        )


def _new_experiment(client: Any, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        # MLflow's client repeats a request to a slow server, which then has the experiment from the first request.
        if (made := client.get_experiment_by_name(name)) is None:
            raise
        return str(made.experiment_id)


def _experiment_of(client: Any, search_id: str, name: str) -> Any | None:
    """The experiment with runs of the search, deleted ones too, or None; the one called ``name`` is tried first."""
    from mlflow.entities import ViewType

    for ids in _pages_of_ids(client, name):
        if found := client.search_runs(ids, runs_of_search(search_id), run_view_type=ViewType.ALL, max_results=1):
            return client.get_experiment(found[0].info.experiment_id)
    return None


def _pages_of_ids(client: Any, name: str) -> Iterator[list[str]]:
    if (named := client.get_experiment_by_name(name)) is not None:
        yield [named.experiment_id]
    for page in experiments(client, deleted=True):
        yield [experiment.experiment_id for experiment in page]


def _restore(client: Any, experiment: Any, search_id: str, name: str) -> None:
    """Restore what was deleted of a search that is resumed, so that its models are not lost; logs what was done."""
    called = one_line(experiment.name)
    if experiment.lifecycle_stage == DELETED:
        client.restore_experiment(experiment.experiment_id)
        logger.info("MLflow: the experiment %r had been deleted and was restored with all its runs", called)
    if experiment.name != name:
        logger.info("MLflow: the search %r continues in its renamed experiment %r", name, called)
    if restored := _restore_runs(client, experiment.experiment_id, search_id):
        logger.info("MLflow: deleted runs of the search were restored: %d", restored)


def _restore_runs(client: Any, experiment_id: str, search_id: str) -> int:
    from mlflow.entities import ViewType

    restored, where = 0, ([experiment_id], runs_of_search(search_id), ViewType.DELETED_ONLY, PAGE)
    while page := client.search_runs(*where):
        for run in page:
            client.restore_run(run.info.run_id)
        restored += len(page)
    return restored
