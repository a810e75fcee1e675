"""The runs of one search, wherever somebody has put them since: in a renamed experiment, or among what was deleted."""

from collections.abc import Iterator
from typing import Any

from eig_tune.errors import one_line
from eig_tune.tracking.paging import PAGE, experiments

SEARCH_TAG = "eig_tune.search_id"  # of the search, on its parent run, children and grandchildren alike
DELETED = "deleted"


def carrying(search_id: str) -> str:
    """MLflow's words for the runs of a search."""
    return f"tags.`{SEARCH_TAG}` = '{search_id}'"


def experiment_of(client: Any, search_id: str, name: str) -> Any | None:
    """The experiment that has runs of the search, deleted ones too, or None; that called ``name`` is tried first."""
    from mlflow.entities import ViewType

    for ids in _pages_of_ids(client, name):
        if found := client.search_runs(ids, carrying(search_id), run_view_type=ViewType.ALL, max_results=1):
            return client.get_experiment(found[0].info.experiment_id)
    return None


def bring_back(client: Any, experiment: Any, search_id: str, name: str) -> tuple[str, ...]:
    """Restore what was deleted of a search that is to go on, so that its models are not lost; says what was done."""
    told, called = [], repr(one_line(experiment.name))
    if experiment.lifecycle_stage == DELETED:
        client.restore_experiment(experiment.experiment_id)
        told.append(f"MLflow: the experiment {called} had been deleted; it is restored, with all its runs")
    if experiment.name != name:
        told.append(f"MLflow: the experiment of {name!r} is called {called} now; the search goes on there")
    if restored := _restore_runs(client, experiment.experiment_id, search_id):
        told.append(f"MLflow: {restored} of the search's runs had been deleted; they are restored")
    return tuple(told)


def _pages_of_ids(client: Any, name: str) -> Iterator[list[str]]:
    if (named := client.get_experiment_by_name(name)) is not None:
        yield [named.experiment_id]
    for page in experiments(client, deleted=True):
        yield [experiment.experiment_id for experiment in page]


def _restore_runs(client: Any, experiment_id: str, search_id: str) -> int:
    from mlflow.entities import ViewType

    restored, where = 0, ([experiment_id], carrying(search_id), ViewType.DELETED_ONLY, PAGE)
    while page := client.search_runs(*where):
        for run in page:
            client.restore_run(run.info.run_id)
        restored += len(page)
    return restored
