"""Whoever uses eig-tune from Python has its types."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("user_script.py")
ROOT = Path(__file__).parents[2]


def mypy(file: Path) -> "subprocess.CompletedProcess[str]":
    """Strict, and with what `make check` has read already: MLflow's and Ray's sources would take a minute anew."""
    command = [sys.executable, "-m", "mypy", "--strict", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT)


@pytest.mark.slow
def test_users_code_is_checked_strictly(tmp_path: Path) -> None:
    right = mypy(SCRIPT)
    assert [line for line in right.stdout.splitlines() if "user_script.py" in line] == [], right.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import eig_tune\nprint(eig_tune.open_search(3).best().numbr)\n")
    shown = mypy(wrong).stdout
    assert 'Argument 1 to "open_search" has incompatible type "int"' in shown
    assert '"BestTrial" has no attribute "numbr"' in shown


def test_users_code_runs() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "8\n"
