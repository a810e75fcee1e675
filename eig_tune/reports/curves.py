"""All learning curves of a search as one table in a Parquet file."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from eig_tune.hpo.trial import Trial

CURVES_FILE = "curves.parquet"
PARAM_PREFIX = "param."
_EARLIER_PREFIX, _EARLIER_NAMES = "value.", {"verdict": "decision"}  # in files of earlier versions


def write_curves(trials: Iterable[Trial], folder: Path) -> None:
    """Write ``curves.parquet`` into ``folder``: one row per report; nothing where there is no report.

    Columns are ``trial``, ``status``, ``step``, ``at`` (seconds since the epoch), ``decision``, the trial's
    hyperparameters as ``param.NAME``, and every metric by its own name.
    """
    rows = [
        {
            "trial": trial.number,
            "status": trial.outcome,
            "step": report.step,
            "at": report.at,
            "decision": report.decision,
            **{f"{PARAM_PREFIX}{name}": value for name, value in trial.params.items()},
            **report.metrics,
        }
        for trial in trials
        for report in trial.reports.values()
    ]
    if rows:
        names = dict.fromkeys(name for row in rows for name in row)
        table = pa.table({name: [row.get(name) for row in rows] for name in names})
        pq.write_table(table, folder / CURVES_FILE, compression="zstd")


def read_curves(file: Path) -> pa.Table:
    """Read a table that :func:`write_curves` has written, in this version or an earlier one, with today's columns."""
    table = pq.read_table(file)
    return table.rename_columns([_todays_name(name) for name in table.column_names])


def _todays_name(name: str) -> str:
    if name.startswith(_EARLIER_PREFIX):
        return f"{PARAM_PREFIX}{name.removeprefix(_EARLIER_PREFIX)}"
    return _EARLIER_NAMES.get(name, name)
