"""What a search has come to, as pandas DataFrames."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from eig_tune.hpo.candidates import CONFIRMED, CONFIRMED_DEVIATION, SECOND
from eig_tune.hpo.objectives import missed
from eig_tune.hpo.selection import reached
from eig_tune.reports.curves import PARAM_PREFIX, REPORT_COLUMNS
from eig_tune.tracking import TrackedSearch


def trials_table(found: TrackedSearch, steps: Mapping[int, int], front: Iterable[int]) -> pd.DataFrame:
    """One row for each trial, by its number.

    Args:
        steps: the step that each trial has reached.
        front: numbers of the trials on the Pareto front.
    """
    on_front = set(front)
    feasible = {trial.number for trial in found.finished() if not missed(reached(trial), found.constraints)}
    rows = [
        {
            "status": trial.status,
            "step": steps.get(trial.number, 0),
            "front": trial.number in on_front,
            **({"feasible": trial.number in feasible} if found.constraints else {}),
            **{f"{PARAM_PREFIX}{name}": value for name, value in trial.params.items()},
            **trial.own,
            **{f"{SECOND}{name}": value for name, value in trial.second.items()},
            **{f"{CONFIRMED}{name}": value for name, value in trial.confirmed.items()},
            **{f"{CONFIRMED_DEVIATION}{name}": value for name, value in trial.confirmed_deviations.items()},
            "reason": trial.reason,
        }
        for trial in found.trials
    ]
    numbers = pd.Index([trial.number for trial in found.trials], name="trial")
    columns = None if rows else ["status", "step", "front", *found.objectives, "reason"]
    return pd.DataFrame(rows, index=numbers, columns=columns)


def curves_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each report of each trial: the trial's number, status and hyperparameters, the step, the time, the
    decision on it, and every metric.

    Args:
        rows: those of :mod:`eig_tune.reports.curves`.
    """
    table = pd.DataFrame(list(rows))
    if table.empty:
        return pd.DataFrame(columns=list(REPORT_COLUMNS))
    table["at"] = pd.to_datetime(table["at"], unit="s")
    return table
