"""`init` as a person types it: the file, what is printed where, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eig_tune.cli.app import app
from eig_tune.config.space import load_spec
from eig_tune.data.kinds import KINDS
from eig_tune.errors import EigTuneError


def run(*arguments: object) -> None:
    app([*map(str, arguments)], standalone_mode=False)


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Noise in two classes, one of them with fewer images and a copy; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, count in (("common", 60), ("rare [x]", 20)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(256, size=(8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    Image.fromarray(pixels).save(tmp_path / "images" / name / "copy.png")
    return tmp_path / "images"


def test_folder_becomes_a_file_that_validate_takes(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    run("init", images, "--home", home, "--time", "3h", "--slots", 2)
    printed = capsys.readouterr()
    for words in (
        "81: 65 to train on",
        "2: common 60, rare [x] 21",
        "2.8 times as many",
        "1 at this size",
        "16 × 16 grey",
    ):
        assert words in printed.out
    assert "rung (steps)" in printed.out and "evaluation classifiers:" in printed.out
    assert f"eig-tune search --space images.yaml --home {home}" in printed.err and "wrote" not in printed.out
    spec = load_spec(tmp_path / "images.yaml")
    run("validate", "images.yaml", "--full", "--home", home)
    full = capsys.readouterr().out
    assert f"{spec.train.steps}" in full and "given" in full and "default" in full and "searched" in full
    assert "2: common 60, rare [x] 21" in full


def test_json_has_the_facts_and_the_plan(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("init", images, "--home", tmp_path / "home", "--time", "3h", "--slots", 2, "--json")
    printed = capsys.readouterr()
    document, spec = json.loads(printed.out), load_spec(tmp_path / "images.yaml")
    assert document["space"] == "images.yaml" and "81: 65 to train on" in printed.err
    assert [each["name"] for each in document["images"]["classes"]] == ["common", "rare [x]"]
    assert document["images"]["copies"]["all"] == 1 and document["images"]["stored_sizes"]["largest"] == [8, 8]
    assert document["kind"] in KINDS and document["plan"]["slots"] == 2
    assert (document["plan"]["trials"], document["plan"]["steps"]) == (spec.trials, spec.train.steps)
    assert 0 < document["plan"]["seconds"] <= 3 * 3600


def test_file_that_is_there_is_left_alone(images: Path, tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text("mine")
    with pytest.raises(EigTuneError, match="--force") as caught:
        run("init", images, "--home", tmp_path / "home")
    assert caught.value.exit_code == 2
    assert (tmp_path / "images.yaml").read_text() == "mine"
    assert not (tmp_path / "home").exists()
    run("init", images, "--home", tmp_path / "home", "--force", "--time", "10h")
    assert load_spec(tmp_path / "images.yaml").dataset.root == images


def test_help_names_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    run("init", "--help")
    words = set(re.findall(r"[\w-]+", capsys.readouterr().out))
    assert words >= set(KINDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "FOLDER: there is no none; give a folder"),
        ([""], "FOLDER: is empty"),
        (["x" * 300], "FOLDER: 'xxx"),
        (["images", "--kind", "sign"], "--kind: no such kind; did you mean 'signs'"),
        (["images", "--image-size", 30], "--image-size: got 30"),
        (["images", "--channels", 2], "--channels: got 2"),
        (["images", "--time", "long"], "--time: got 'long'"),
        (["images", "--time", "1s"], "the smallest search of these images"),
        (["images", "--categories", 1], "model.categories: got 1"),
        (["images", "--labels", "x.npy"], "`labels` are those of an `array-file`"),
        (["images", "--out", "none/space.yaml"], "--out: there is no folder none to write space.yaml to"),
        (["images/common", "--root", "x"], "--root: says where a published data set lies"),
    ],
)
def test_what_is_wrong_is_one_message_and_no_file(
    images: Path, tmp_path: Path, arguments: list[object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EigTuneError) as caught:
        run("init", *arguments, "--home", tmp_path / "home")
    assert message in str(caught.value)
    assert caught.value.exit_code == 2
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.glob("*.yaml"))
