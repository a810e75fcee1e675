"""What several results have in common: plain tables, what is on the disk, and what MLflow did not take."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from eig_tune.reports.disagreement import Disagreement
from eig_tune.reports.outcomes import DiskUse


def two_columns(title: str, rows: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    table.add_column("value", justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def table_of_numbers(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def print_warning(problem: Disagreement, console: Console) -> None:
    """That the encoder of the best trial is worse than its samples look, if it is."""
    if problem:
        console.print(f"WARNING {problem}", style="yellow", soft_wrap=True)


def print_disk_use(disk: DiskUse, console: Console) -> None:
    """What a search or comparison takes."""
    checkpoints = "unknown" if disk.checkpoints is None else decimal(disk.checkpoints)
    line = f"on disk: checkpoints {checkpoints} in {disk.storage}, all else {decimal(disk.kept)}"
    console.print(line, soft_wrap=True)


def print_tracking_errors(errors: Sequence[str], console: Console) -> None:
    for error in sorted(set(errors)):
        console.print(f"MLflow: {error}", style="red", soft_wrap=True)
