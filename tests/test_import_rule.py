"""The house's imports point one way, and heavy libraries live where they belong."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eig_tune

ROOT = Path(eig_tune.__file__).parent
ORDER = [
    *("errors", "strict_json", "paths", "schema", "stopping", "home", "processors"),
    *("data", "models", "evaluation", "training", "config", "hpo", "tracking", "cluster", "reports", "workflows"),
    *("export", "terminal", "api", "cli"),
]
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
HOMES = {
    "mlflow": {"tracking"},
    "ray": {"cluster"},
    "typer": {"cli"},
    "rich": {"terminal"},
}


def part_of(file: Path) -> str:
    """The part of the house that a file belongs to, such as "data" or "cli"; "" for the package itself."""
    first = file.parts[0].removesuffix(".py")
    return {"__init__": "", "__main__": "cli"}.get(first, first)


def imported_modules(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """Full names of everything imported anywhere in a file of ``package``, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imports_of(file: Path) -> list[str]:
    package = ["eig_tune", *file.parts[:-1]]
    return list(imported_modules(ast.parse((ROOT / file).read_text()), package))


def forbidden(file: Path, modules: list[str]) -> list[str]:
    """Those of ``modules`` that a file may not import."""
    part = part_of(file)
    found = []
    for name in modules:
        top, *below = name.split(".")
        if top == "eig_tune" and below and below[0] in ORDER:
            allowed = [*ORDER[: ORDER.index(part)], part] if part else ["api", "errors"]
            if below[0] not in allowed:
                found.append(name)
        elif top in HOMES and not {part, file.as_posix()} & HOMES[top]:
            found.append(name)
    return found


@pytest.mark.parametrize("file", FILES, ids=str)
def test_file_imports_only_from_parts_above_and_heavy_libraries_at_home(file: Path) -> None:
    assert part_of(file) in ["", *ORDER], "a part that the design does not know"
    assert forbidden(file, imports_of(file)) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("data/x.py", "from eig_tune.models import losses"),
        ("data/x.py", "from eig_tune import models"),
        ("data/x.py", "import eig_tune.training.loop"),
        ("data/x.py", "from ..models import losses"),
        ("data/x.py", "from .. import models"),
        ("errors.py", "def f():\n    from eig_tune.schema import Section"),
        ("__init__.py", "from eig_tune.data import augment"),
        ("tracking/x.py", "import ray.tune"),
        ("tracking/x.py", "from eig_tune.workflows import search"),
        ("training/x.py", "import mlflow"),
        ("training/x.py", "from ray import tune"),
        ("workflows/search.py", "from rich.table import Table"),
        ("workflows/search.py", "import mlflow"),
        ("export/bundle.py", "from mlflow.pyfunc import PythonModel"),
        ("terminal/progress.py", "import typer"),
        ("workflows/search.py", "from eig_tune.cli import main"),
    ],
)
def test_rule_sees_a_breach(file: str, line: str) -> None:
    path = Path(file)
    assert forbidden(path, list(imported_modules(ast.parse(line), ["eig_tune", *path.parts[:-1]]))) != []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("training/x.py", "from eig_tune.data import augment"),
        ("training/x.py", "from eig_tune import __version__"),
        ("training/x.py", "from .config import TrainConfig"),
        ("terminal/progress.py", "from rich.live import Live"),
        ("tracking/x.py", "import mlflow"),
        ("cli/app.py", "from eig_tune.export import bundle"),
        ("cli/commands/x.py", "import typer"),
        ("__main__.py", "from eig_tune.cli import main"),
    ],
)
def test_rule_allows_what_is_allowed(file: str, line: str) -> None:
    path = Path(file)
    assert forbidden(path, list(imported_modules(ast.parse(line), ["eig_tune", *path.parts[:-1]]))) == []


def test_code_that_mlflow_serves_needs_no_eig_tune_and_nobody_imports_it() -> None:
    served = Path("tracking", "served_model.py")
    assert {name.split(".")[0] for name in imports_of(served)} == {
        "pathlib", "typing", "numpy", "onnxruntime", "pandas", "mlflow"
    }  # fmt: skip
    assert not [file for file in FILES if any("served_model" in name for name in imports_of(file))]


@pytest.mark.parametrize("module", ["eig_tune", "eig_tune.errors"])
def test_import_loads_nothing_heavy(module: str) -> None:
    heavy = {"torch", "ray", "mlflow", "optuna", "numpy", "sklearn", "matplotlib"}
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert heavy & set(done.stdout.split()) == set()


def test_search_algorithm_needs_no_training_tracking_cluster_or_terminal_library() -> None:
    rooms = [".".join(["eig_tune", *file.with_suffix("").parts]) for file in FILES if file.parts[0] == "hpo"]
    code = f"import sys, {', '.join(rooms)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    forbidden = {"torch", "ray", "mlflow", "rich", "typer", "sklearn", "matplotlib", "pandas"}
    assert forbidden & set(done.stdout.split()) == set()


def test_reading_a_space_loads_no_training_search_or_tracking_library() -> None:
    space = ROOT.parent / "search_spaces" / "digits.yaml"
    code = (
        "import sys; from pathlib import Path; from eig_tune.config.space import load_spec; "
        f"load_spec(Path({str(space)!r})); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert {"torch", "ray", "mlflow", "optuna", "sklearn", "pandas"} & set(done.stdout.split()) == set()
