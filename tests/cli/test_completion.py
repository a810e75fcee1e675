"""Completion of the command line, as a shell asks for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
HEAVY = {"torch", "ray", "mlflow", "optuna", "numpy", "pandas"}


def completed(words: str) -> list[str]:
    """What bash offers after ``words``, by the function that ``eig-tune --show-completion`` defines."""
    script = f"""
        eval "$(eig-tune --show-completion bash)"
        COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        "$(complete -p eig-tune | sed -E 's/.*-F ([^ ]+) .*/\\1/')" eig-tune
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PATH": path},
    )
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [("eig-tune sea", ["search"]), ("eig-tune search --tri", ["--trials", "--trials-per-gpu"])],
)
def test_bash_completes_commands_and_options(words: str, offered: list[str]) -> None:
    assert completed(words) == offered


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert not loaded(arguments, {})


def test_completion_loads_nothing_heavy() -> None:
    asked = {"COMP_WORDS": "eig-tune se", "COMP_CWORD": "1", "_EIG_TUNE_COMPLETE": "complete_bash"}
    assert not loaded([], asked)


def loaded(arguments: list[str], variables: dict[str, str]) -> set[str]:
    """Those of the heavy libraries which a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", BIN / "eig-tune", *arguments],
        capture_output=True, text=True, check=True, timeout=120, env={**os.environ, **variables},
    )  # fmt: skip
    assert done.stdout
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "typer" in modules
    return modules & HEAVY
