"""All learning curves of a search as one table in a Parquet file."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eig_tune.hpo.trial import Trial

CURVES_FILE = "curves.parquet"
PARAM_PREFIX = "param."
REPORT_COLUMNS = ("trial", "status", "step", "at", "decision")
_EARLIER_PREFIX, _EARLIER_NAMES = "value.", {"verdict": "decision"}  # in files of earlier versions


def curve_rows(trials: Iterable[Trial]) -> Iterator[dict[str, Any]]:
    """One row per report.

    Columns are ``trial``, ``status``, ``step``, ``at`` (seconds since the epoch), ``decision``, the trial's
    hyperparameters as ``param.NAME``, and every metric by its own name.
    """
    for trial in trials:
        for report in trial.reports.values():
            yield {
                "trial": trial.number,
                "status": trial.outcome,
                "step": report.step,
                "at": report.at,
                "decision": report.decision.status,
                **{f"{PARAM_PREFIX}{name}": value for name, value in trial.params.items()},
                **report.metrics,
            }


def metrics_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics in a row of :func:`curve_rows`."""
    return {
        name: value for name, value in row.items() if name not in REPORT_COLUMNS and not name.startswith(PARAM_PREFIX)
    }


def write_curves(trials: Iterable[Trial], folder: Path) -> None:
    """Write ``curves.parquet`` into ``folder``, the rows of :func:`curve_rows`; nothing where there is no report."""
    rows = list(curve_rows(trials))
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
