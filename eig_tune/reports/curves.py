"""All learning curves of a search as one table, for whoever wants to look at them or to replay them."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from eig_tune.hpo.trial import Trial

CURVES_FILE = "curves.parquet"
VALUE_PREFIX = "value."


def write_curves(trials: Iterable[Trial], folder: Path) -> None:
    """Write ``curves.parquet``: one row per report, with trial, step, time and verdict, the trial's values as
    ``value.NAME``, and every metric by its own name. Nothing where there is no report."""
    rows = [
        {
            "trial": trial.number,
            "status": trial.outcome,
            "step": report.step,
            "at": report.at,
            "verdict": report.decision,
            **{f"{VALUE_PREFIX}{name}": value for name, value in trial.params.items()},
            **report.metrics,
        }
        for trial in trials
        for report in trial.reports.values()
    ]
    if rows:
        names = dict.fromkeys(name for row in rows for name in row)
        table = pa.table({name: [row.get(name) for row in rows] for name in names})
        pq.write_table(table, folder / CURVES_FILE, compression="zstd")
