"""`eig-tune predict` on folders as people have them: what a search sees, whatever its name and whatever lies beside."""

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eig_tune.cli import main
from eig_tune.data.batches import to_unit_range
from eig_tune.data.folder import read_folder
from eig_tune.export import read_bundle, write_bundle
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData, fit

NAMES = [b"plain.png", b'caf\xe9[x] $a$,\n"q".png', "日本🐱.png".encode(), b"=1+1.png", b"-v.png", b"x" * 200 + b".png"]
Rows = list[dict[str, str]]
Predict = Callable[..., tuple[int, Rows, str]]


@pytest.fixture(scope="module")
def bundle(tiny_config: TrainConfig, trial_data: TrialData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    *_, last = fit(tiny_config, trial_data, device=torch.device("cpu"))
    last.save(folder / "checkpoint")
    write_bundle(folder / "checkpoint", folder / "checkpoint", {"found": {}}, {"search": "s"}, folder / "bundle")
    return folder / "bundle"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of many kinds in two folders, with what people's folders hold beside them."""
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / "images" / folder / ".ipynb_checkpoints").mkdir(parents=True)
        for name in NAMES:
            depth = np.uint16 if folder == "a" else np.uint8
            pixels = rng.integers(np.iinfo(depth).max, size=(20, 30), dtype=depth)
            Image.fromarray(pixels).save(tmp_path / "images" / folder / os.fsdecode(name))
        (tmp_path / "images" / folder / "[red]x.png").touch()
        (tmp_path / "images" / folder / "x.heic").touch()
    os.mkfifo(tmp_path / "images" / "pipe.png")
    return tmp_path / "images"


@pytest.fixture
def predict(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Predict:
    """Runs the command; gives its exit code, the rows of its CSV and what it said."""

    def run(*sources: Path, out: Path | None = None) -> tuple[int, Rows, str]:
        options = [] if out is None else ["--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["eig-tune", "predict", str(bundle), *map(str, sources), *options])
        monkeypatch.setattr(os, "_exit", sys.exit)
        with pytest.raises(SystemExit) as left:
            main()
        printed = capfd.readouterr()
        text = printed.out if out is None else out.read_text(encoding="utf-8")
        return int(left.value.code or 0), list(csv.DictReader(text.splitlines(keepends=True))), printed.err

    return run


def test_predictions_are_of_what_a_search_sees(bundle: Path, images: Path, predict: Predict) -> None:
    code, rows, _ = predict(images)
    record, model = read_bundle(bundle)
    seen = read_folder(images, record.image_size, record.channels)
    q_NK = model.category_logits(to_unit_range(torch.tensor(seen.images.pixels))).softmax(dim=1)
    assert code == 0
    assert [int(row["category"]) for row in rows] == q_NK.argmax(dim=1).tolist()
    assert [float(row["probability"]) for row in rows] == pytest.approx(q_NK.max(dim=1).values.tolist(), abs=1e-5)


def test_every_name_is_a_row_of_a_valid_csv_file(images: Path, predict: Predict, tmp_path: Path) -> None:
    _, rows, messages = predict(images, out=tmp_path / "out.csv")
    names = [row["path"].rpartition("/")[2] for row in rows]
    assert len(names) == 2 * len(NAMES)
    assert set(names) == {
        "plain.png", 'caf\\xe9[x] $a$,\\n"q".png', "日本🐱.png", "=1+1.png", "-v.png", "x" * 200 + ".png"
    }  # fmt: skip
    assert all(None not in row and len(row) == 4 for row in rows)
    assert messages.splitlines()[-1] == "12 of 14 images"
    for count in (
        "2 × hidden or of the system",
        "2 × in a format that is not read (.heic)",
        "2 × empty",
        "1 × not a reg",
    ):
        assert count in messages.splitlines()[0]
    assert "[red]x.png,empty" in (tmp_path / "out.left-out.csv").read_text(encoding="utf-8")


def test_names_of_what_was_left_out_are_shown_where_the_csv_goes_to_stdout(images: Path, predict: Predict) -> None:
    _, rows, messages = predict(images)
    assert len(rows) == 12
    assert f"left out, empty: {images}/a/[red]x.png" in messages.splitlines()


def test_files_are_tried_whatever_they_are_called_and_in_the_order_given(tmp_path: Path, predict: Predict) -> None:
    for name in (".hidden.txt", "b"):
        Image.new("L", (8, 8)).save(tmp_path / name, "PNG")
    _, rows, _ = predict(tmp_path / "b", tmp_path / ".hidden.txt", tmp_path / "b")
    assert [Path(row["path"]).name for row in rows] == ["b", ".hidden.txt", "b"]


def test_formula_is_written_as_a_path(tmp_path: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save("=1+1.png")
    assert predict(Path("=1+1.png"))[1][0]["path"] == "./=1+1.png"


@pytest.mark.parametrize("source", ["none", "none/x.png", "caf\udce9"])
def test_missing_source_is_one_line(tmp_path: Path, predict: Predict, source: str) -> None:
    code, rows, messages = predict(tmp_path / source)
    assert (code, rows) == (2, [])
    assert messages.count("\n") == 1
    assert "there is no '" in messages


def test_pipe_is_not_waited_for(images: Path, predict: Predict) -> None:
    code, rows, messages = predict(images / "pipe.png")
    assert (code, rows) == (0, [])
    assert f"left out, not a regular file: {images}/pipe.png" in messages
