"""What a person reads of the images before a search: what was left out, on one line, with the names in a file."""

import io
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from eig_tune.data import DatasetConfig
from eig_tune.tuning.home import Home
from eig_tune.tuning.prepare import prepare_images
from eig_tune.tuning.space import SearchSpec


@pytest.fixture
def spec(tmp_path: Path) -> SearchSpec:
    """A search over a folder of two classes with files that are left out; their names are rich's markup."""
    for name in ("[red]", "b"):
        (tmp_path / name).mkdir()
        for number in range(20):
            Image.new("L", (8, 8), number).save(tmp_path / name / f"{number}.png")
        (tmp_path / name / "[bold]x.png").touch()
    (tmp_path / "@eaDir").mkdir()
    return SearchSpec(
        dataset=DatasetConfig(name="folder", root=tmp_path, image_size=8, imbalance="none"),
        search={"lambda_1": {"uniform": [0.1, 1]}},
        train={"batch_size": 8},
    )


def told(spec: SearchSpec, home: Path) -> str:
    console = Console(file=io.StringIO(), width=80)
    prepare_images(spec, console, Home(home))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_left_out_files_are_one_line_and_their_names_a_file(spec: SearchSpec, tmp_path: Path) -> None:
    home = tmp_path.with_name(f"{tmp_path.name}-home")
    line = told(spec, home)
    names = next((home / "images").glob("left-out-*.csv"))
    assert line == f"left out: 2 × empty, 1 × hidden or of the system; names in {names}\n"
    assert names.read_text(encoding="utf-8").splitlines() == [
        "path,reason",
        "@eaDir,hidden or of the system",
        "[red]/[bold]x.png,empty",
        "b/[bold]x.png,empty",
    ]


def test_home_that_cannot_be_written_is_said(spec: SearchSpec, tmp_path: Path) -> None:
    home = tmp_path.with_name(f"{tmp_path.name}-home")
    home.write_text("a file in its place")
    assert "left out: 2 × empty" in told(spec, home)
    assert "cannot be written" in told(spec, home)


def test_nothing_is_said_of_nothing(spec: SearchSpec, tmp_path: Path) -> None:
    digits = spec.model_copy(update={"dataset": DatasetConfig(name="digits")})
    assert told(digits, tmp_path / "home") == ""
