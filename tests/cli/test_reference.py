"""docs/reference.md is what the code makes, and leaves out nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import typer.main

from eig_tune.cli.app import app
from eig_tune.config.space import SearchSpec
from eig_tune.errors import EigTuneError
from eig_tune.stopping import STOPPED_CODE, Stop
from eig_tune.training.config import field_names

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")


def test_page_is_what_the_code_makes() -> None:
    # In a process of its own, since other tests register metrics and methods of theirs.
    program = "from eig_tune.cli.reference import reference; print(reference(), end='')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == REFERENCE, "make reference writes it anew"


@pytest.mark.parametrize("key", [*SearchSpec.model_fields, *field_names(), "split", "row", "grace", "when", "nmi"])
def test_key_has_a_row_with_a_meaning(key: str) -> None:
    rows = [line for line in REFERENCE.splitlines() if line.startswith(f"| `{key}` |")]
    assert rows
    assert all(len(cell.strip()) > 0 for row in rows for cell in row.strip("|").split("|"))


@pytest.mark.parametrize("command", ["search", "best", "compare", "train", "validate", "doctor", "predict", "ui"])
def test_command_has_a_section(command: str) -> None:
    assert f"### `eig-tune {command}`\n\n    eig-tune {command} [OPTIONS]" in REFERENCE


def test_every_option_and_argument_says_what_it_is() -> None:
    _, _, commands = REFERENCE.partition("## Commands")
    rows = [line for line in commands.splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert all(len(row.rsplit(" | ", 1)[1].removesuffix("|").strip()) > 10 for row in rows)


def test_page_of_commands_has_every_command_and_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    named = re.findall(r"^\| `([a-z-]+)[` ]", page, re.MULTILINE)
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert named == list(group.commands)
    codes = {int(code) for row in re.findall(r"^\| ([0-9, ]+) \|", page, re.MULTILINE) for code in row.split(", ")}
    assert codes == {0, 1, EigTuneError.exit_code, STOPPED_CODE, *(128 + number for number in Stop.signals)}
