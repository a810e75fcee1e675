"""The notebook in ``docs`` runs from its first to its last cell, in a kernel, as it does for a reader."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "first_search.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The code cells, executed; an error in one of them is this fixture's."""
    notebook = read()
    folder = tmp_path_factory.mktemp("notebook")
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells: list[Any], source: str) -> list[Any]:
    """What the one cell that is, or begins, so has shown."""
    (cell,) = [cell for cell in cells if cell.source == source] or [c for c in cells if c.source.startswith(source)]
    return list(cell.outputs)


def shown(cells: list[Any], source: str) -> Any:
    """The value of a cell, by its types."""
    (value,) = (output.data for output in outputs(cells, source) if output.output_type == "execute_result")
    return value


def test_stored_notebook_has_no_outputs() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert [cell.outputs for cell in notebook.cells if cell.cell_type == "code" and cell.outputs] == []


@pytest.mark.slow
@pytest.mark.cluster
def test_reader_sees_progress_tables_and_figures(cells: list[Any]) -> None:
    lines = "".join(output.text for output in outputs(cells, "result = eig_tune.search") if "text" in output)
    assert "data: arrays, 1,797 images, 16 × 16 grey" in lines
    assert re.search(r"trial \d finished at step 750", lines)  # which one is a matter of timing
    streams = {output.name for output in outputs(cells, "result = eig_tune.search") if output.output_type == "stream"}
    assert streams == {"stdout"}, "nothing is red"
    assert "Pareto front" in shown(cells, "result")["text/html"]
    assert "largest_category" in shown(cells, "result.trials")["text/html"]
    for figure in ("result.plot_front()", "result.plot_curves()", "from matplotlib.figure"):
        assert "image/png" in shown(cells, figure), figure


@pytest.mark.slow
@pytest.mark.cluster
def test_best_model_finds_the_digits(cells: list[Any]) -> None:
    assert "the best by nmi" in shown(cells, "best = ")["text/html"]
    assert float(shown(cells, "model = ")["text/plain"].removeprefix("np.float64(").rstrip(")")) > 0.5
    assert shown(cells, "again = ")["text/plain"] == "(True, True)"
