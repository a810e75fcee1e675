"""The searches of a home from Python: listed, asked to end, given trials of one's own, and deleted."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eig_tune.api.running import home_at, store_uri

if TYPE_CHECKING:
    import pandas as pd


def list_searches(*, home: str | Path | None = None) -> "pd.DataFrame":
    """Every search, comparison and suggestion of a home, also those that run in other processes or on other machines.

    Args:
        home: folder of the searches; EIG_TUNE_HOME, or ``eig-runs``.

    Returns:
        One row for each, that written to last first, by name: ``kind``, ``state`` (running, complete, stopped, killed
        or damaged), trials that have ``ended`` and that are ``planned``, number and found value of the ``best`` trial
        in the first objective, ``newest_at``, and its size in ``bytes``.

    Example:
        >>> eig_tune.list_searches().query("state == 'running'")
    """
    import pandas as pd

    from eig_tune.workflows.overview import look_at_all

    rows = [
        {
            "name": search.name,
            "kind": search.kind,
            "state": search.standing,
            "ended": sum(trial.ended for trial in search.trials),
            "planned": search.planned,
            "best": None if search.best is None else search.best.number,
            "value": None if search.best is None else search.best.found.get(next(iter(search.objectives))),
            "newest_at": pd.to_datetime(search.newest_at, unit="s"),
            "bytes": search.size(),
        }
        for search in look_at_all(home_at(home))
    ]
    columns = ["name", "kind", "state", "ended", "planned", "best", "value", "newest_at", "bytes"]
    return pd.DataFrame(rows, columns=columns).astype({"best": "Int64"}).set_index("name")


def stop_search(name: str, *, home: str | Path | None = None, patience: float = 120.0) -> str:
    """Ask the process that runs a search, wherever that is, to end it gently, and wait until it has.

    Args:
        name: of the search.
        home: as for :func:`list_searches`.
        patience: for how many seconds to wait.

    Returns:
        The state of the search afterwards, as of :func:`list_searches`; of one that does not run as it was.

    Raises:
        ResultError: there is no such search, or it has not ended by then.

    Example:
        >>> eig_tune.stop_search("digits")
    """
    from eig_tune.workflows.requests import ask_to_stop

    return str(ask_to_stop(home_at(home), name, patience, lambda search: None).standing)


def add_trial(name: str, params: Mapping[str, Any], *, home: str | Path | None = None) -> int | None:
    """Add a trial of your own to a search. One that runs tries it next; another one when ``resume=True`` goes on.

    Args:
        name: of the search.
        params: searched hyperparameters, inside the ranges of the space; those that are not given the sampler chooses.
        home: as for :func:`list_searches`.

    Returns:
        The number of the trial; None while the search has not taken it.

    Raises:
        ConfigError: the space has no such hyperparameters; every problem is reported.
        ResultError: there is no such search, or its runs are fixed.

    Example:
        >>> eig_tune.add_trial("digits", {"lambda_2": 10.0})
    """
    from eig_tune.workflows.requests import add_trial as add

    return add(home_at(home), name, params)[1]


def delete_search(
    name: str, *, home: str | Path | None = None, tracking_uri: str | None = None, registered: bool = False
) -> int:
    """Delete a search for good, without asking: event log, checkpoints, and its part in MLflow.

    Args:
        name: of the search, which must not be running.
        home: as for :func:`list_searches`.
        tracking_uri: the MLflow store; MLFLOW_TRACKING_URI, or the home's own.
        registered: delete registered versions of its models, too; else these and the runs that they are of are kept.

    Returns:
        How many bytes were freed on this machine and in the storage of the checkpoints.

    Raises:
        ResultError: there is no such search, or it is running.
        TrackingError: the store cannot be reached; the home still has the search.

    Example:
        >>> eig_tune.delete_search("first-try")
    """
    from eig_tune.workflows.delete import delete_search as delete
    from eig_tune.workflows.delete import plan_deletion

    place = home_at(home)
    return delete(plan_deletion(place, name, store_uri(tracking_uri, place.path)), versions=registered)[0]
