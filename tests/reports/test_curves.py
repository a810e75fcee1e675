"""Learning curves are read back from files of this version and of earlier ones."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from eig_tune.hpo.trial import Decision, Report, Trial
from eig_tune.reports.curves import CURVES_FILE, read_curves, write_curves

COLUMNS = ["trial", "status", "step", "at", "decision", "param.tau", "nmi"]


def test_reports_are_rows(tmp_path: Path) -> None:
    trial = Trial(3, {"tau": 0.5}, 0.0, "finished")
    trial.reports = {
        10: Report(10, {"nmi": 0.1}, 1.0),
        20: Report(20, {"nmi": 0.2}, 2.0, Decision("finished")),
    }
    write_curves([trial, Trial(4, {"tau": 0.1}, 0.0)], tmp_path)
    assert read_curves(tmp_path / CURVES_FILE).to_pylist() == [
        dict(zip(COLUMNS, row, strict=True))
        for row in ([3, "finished", 10, 1.0, "running", 0.5, 0.1], [3, "finished", 20, 2.0, "finished", 0.5, 0.2])
    ]


def test_nothing_is_written_without_reports(tmp_path: Path) -> None:
    write_curves([Trial(0, {}, 0.0)], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_columns_of_earlier_versions_have_todays_names(tmp_path: Path) -> None:
    earlier = {"trial": [0], "status": ["finished"], "step": [10], "at": [1.0], "verdict": ["running"]}
    pq.write_table(pa.table({**earlier, "value.tau": [0.5], "nmi": [0.1]}), tmp_path / CURVES_FILE)
    assert read_curves(tmp_path / CURVES_FILE).column_names == COLUMNS
