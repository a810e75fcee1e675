"""What a person reads of the images before a search: what was left out, on one line, with the names in a file."""

from pathlib import Path
from typing import Any

import pytest
from logged import logged
from PIL import Image

from eig_tune.config.distributions import Distribution
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.data import DatasetConfig, ImageData
from eig_tune.errors import ConfigError
from eig_tune.home import Home
from eig_tune.training import TrainSettings
from eig_tune.workflows.fit import check_fit
from eig_tune.workflows.prepare import prepare_images
from eig_tune.workflows.view import View


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
        search={"lambda_1": Distribution(uniform=(0.1, 1))},
        train=TrainSettings(batch_size=8),
    )


def shown(spec: SearchSpec, home: Path) -> str:
    with logged() as log:
        prepare_images(spec, Home(home), View())
    return log.text


def test_left_out_files_are_one_line_and_their_names_a_file(spec: SearchSpec, tmp_path: Path) -> None:
    home = tmp_path.with_name(f"{tmp_path.name}-home")
    line = shown(spec, home).splitlines()[0]
    names = next((home / "images").glob("left-out-*.csv"))
    assert line == f"left out: 2 × empty, 1 × hidden or of the system; names in {names}"
    assert names.read_text(encoding="utf-8").splitlines() == [
        "path,reason",
        "./@eaDir,hidden or of the system",
        "[red]/[bold]x.png,empty",
        "b/[bold]x.png,empty",
    ]


def test_home_that_cannot_be_written_is_said(spec: SearchSpec, tmp_path: Path) -> None:
    home = tmp_path.with_name(f"{tmp_path.name}-home")
    home.write_text("a file in its place")
    assert "left out: 2 × empty" in shown(spec, home)
    assert "cannot be written" in shown(spec, home)


def test_of_nothing_left_out_nothing_is_said(spec: SearchSpec, tmp_path: Path) -> None:
    digits = spec.model_copy(update={"dataset": DatasetConfig(name="digits")})
    lines = shown(digits, tmp_path / "home").splitlines()
    assert lines[0].startswith("data: digits, 1,797 images, 16 × 16 grey: ")
    assert lines[1].startswith("10 classes, training + held out: 0 ")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"search": {"batch_size": {"randint": [8, 5000]}}}, "search.batch_size"),
        ({"train": {"batch_size": 5000}}, "train.batch_size"),
        ({"method": "ground-truth-infogan", "model": {"categories": 11}}, "model.categories"),
        ({"method": "ground-truth-infogan", "search": {"categories": {"choice": [10, 20]}}}, "search.categories"),
        ({"method": "ground-truth-infogan", "search": {"categories": {"randint": [8, 12]}}}, "search.categories"),
        ({"search": {"method": {"choice": ["elastic-infogan", "ground-truth-infogan"]}}, "model": {"categories": 9}},
         "model.categories"),
        ({"search": {"method": {"choice": ["elastic-infogan", "ground-truth-infogan"]},
                     "categories": {"choice": [10, 20], "when": {"method": "elastic-infogan"}}}}, None),
        ({"search": {"method": {"choice": ["elastic-infogan", "ground-truth-infogan"]}}}, None),
        ({"augment": {"hue": 0.1}}, "augment.hue"),
        ({"search": {"saturation": {"uniform": [0, 0.5]}}}, "search.saturation"),
        ({"augment": {"brightness": 0.1, "contrast": 0.1, "blur": 0.01, "invert": 0.5, "hue": 0}}, None),
    ],
)  # fmt: skip
def test_what_any_trial_may_ask_must_fit_the_images(
    digits: ImageData, change: dict[str, Any], where: str | None
) -> None:
    document = {
        "dataset": {"name": "digits"}, "train": {}, "search": {"lambda_1": {"uniform": [0.1, 1]}}, **change,
    }  # fmt: skip
    spec = parse_spec(document, "space.yaml")
    if where is None:
        check_fit(spec, digits)
        return
    with pytest.raises(ConfigError) as caught:
        check_fit(spec, digits)
    assert [problem.where for problem in caught.value.problems] == [where]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({}, "train.diff_translation"),
        ({"model": {"network": "dcgan"}, "method": "gumbel-softmax"}, "train.diff_translation"),
        ({"search": {"network": {"choice": ["infogan", "dcgan"]}}}, "train.diff_translation"),
        ({"search": {"method": {"choice": ["joint-vae", "elastic-infogan"]}}}, "train.diff_translation"),
        ({"search": {"diff_translation": {"uniform": [0, 0.1]}}}, "search.diff_translation"),
        ({"search": {"diff_translation": {"uniform": [0.05, 0.1]}}}, None),
        ({"train": {"diff_translation": 0.0625}}, None),
        ({"model": {"network": "infogan"}}, None),
        ({"method": "joint-vae"}, None),
        ({"dataset": {"image_size": 32}}, None),
        ({"dataset": {"image_size": 96}}, None),
    ],
)
def test_networks_that_collapse_are_said(change: dict[str, Any], where: str | None, tmp_path: Path) -> None:
    change = {"dataset": {"image_size": 64}, **change}
    document = {"search": {"lambda_1": {"uniform": [0.1, 1]}}, **change}
    document["dataset"] = {"name": "digits", **change["dataset"]}
    warning = f"{where}: without such a shift, dcgan at 64×64 collapses in most runs; give 0.0625 or more"
    text = shown(parse_spec(document, "space.yaml"), tmp_path)
    assert text.count("collapses") == (where is not None)
    assert where is None or warning in text


def test_run_is_held_to_the_images_by_its_own_values(digits: ImageData) -> None:
    space = {"dataset": {"name": "digits"}, "search": {"categories": {"choice": [10, 20]}}}
    spec = parse_spec({**space, "method": "ground-truth-infogan"}, "space.yaml")
    check_fit(spec.of_run(spec.fixed_config(spec.method, 0, {})), digits)
    with pytest.raises(ConfigError, match=r"model\.categories: got 20"):
        check_fit(spec.of_run(spec.fixed_config(spec.method, 0, {"categories": 20})), digits)
    with pytest.raises(ConfigError, match=r"augment\.hue: these images are grey"):
        check_fit(spec.of_run(spec.fixed_config(spec.method, 0, {"hue": 0.1})), digits)
