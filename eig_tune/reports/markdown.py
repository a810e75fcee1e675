"""Markdown as MLflow's UI shows it, where every newline inside a paragraph is one on the page."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from eig_tune.reports.phrases import table_cell
from eig_tune.tracking import LONGEST_TAG


class Artifacts(Protocol):
    """Addresses in MLflow's UI of a run's artifacts: of a file itself, and of the page that shows it."""

    def address(self, artifact: str) -> str: ...

    def page(self, artifact: str) -> str: ...


def table(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> str:
    """A table; a row that lacks a column has a dash there."""
    names = list(columns)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return apart(
        "\n".join(lines + ["| " + " | ".join(table_cell(row.get(name, "–")) for name in names) + " |" for row in rows])
    )


def apart(table: str) -> str:
    """A table with gaps between its columns, which the UI sets side by side without any."""
    return table.replace(" |", "&emsp;|")


def code(text: str) -> str:
    """A text in code style, because a message may look like Markdown."""
    return f"`{text.replace('`', chr(39))}`"


def picture(name: str, artifacts: Artifacts) -> str:
    """An artifact as a picture."""
    return f"![{name}]({artifacts.address(name)})"


def fitted(parts: Sequence[tuple[int, str]]) -> str:
    """The parts, each with its place in the order of importance; the least important are left out where all of them are
    longer than MLflow takes."""
    kept = [part for part in parts if part[1]]
    while len(text := "\n\n".join(part for _, part in kept) + "\n") > LONGEST_TAG and len(kept) > 1:
        kept.remove(max(kept, key=lambda part: part[0]))
    return text


def linked(names: Collection[str], artifacts: Artifacts) -> str:
    """Links to the pages of artifacts."""
    return ", ".join(f"[{name}]({artifacts.page(name)})" for name in names)
