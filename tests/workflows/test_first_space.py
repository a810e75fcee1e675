"""The space that `init` writes for images that nobody has described: what it holds, and that it is one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from eig_tune.config.document import parse_value
from eig_tune.config.space import SearchSpec, load_spec, parse_spec
from eig_tune.config.unused import find_unused_in_search
from eig_tune.data import DatasetConfig
from eig_tune.errors import ConfigError, DataError
from eig_tune.home import Home
from eig_tune.hpo.budget import budget_of
from eig_tune.workflows.find_source import find_source
from eig_tune.workflows.first_space import Asked, FirstSpace, Seen, fit_to_time, look_at_images_of
from eig_tune.workflows.fit import check_fit
from eig_tune.workflows.space_text import space_text
from eig_tune.workflows.view import View

HOUR = 3600.0
SPACES = Path(__file__).parents[2] / "search_spaces"


def paint(folder: Path, labelled: bool, *, count: int = 100, coloured: bool = False, side: int = 12) -> Path:
    """Digits 0 to 2 of scikit-learn as image files."""
    digits = load_digits(n_class=3)
    for number, (image, label) in enumerate(zip(digits.images[:count], digits.target, strict=False)):
        where = folder / f"class {label}" if labelled else folder
        where.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((image * 15).astype(np.uint8)).resize((side, side))
        if coloured:
            grey = Image.merge("RGB", (grey, Image.new("L", grey.size, 200), grey))
        grey.save(where / f"{number}.png")
    return folder


def asked(
    images: object,
    *,
    seconds: float = HOUR,
    slots: int = 2,
    gpu: bool = False,
    image_size: int | None = None,
    channels: int | None = None,
    kind: str | None = None,
    categories: int | None = None,
) -> Asked:
    return Asked(find_source(str(images), None, None, image_size, channels), seconds, slots, gpu, kind, categories)


def look(wish: Asked, home: Path) -> Seen:
    return look_at_images_of(wish, Home(home), View())


def spec_of(seen: Seen) -> SearchSpec:
    return parse_spec(parse_value(space_text(seen.draft, budget_of(16, 1500), "one\ntwo")), "text")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> FirstSpace:
    folder = paint(tmp_path_factory.mktemp("images"), labelled=True)
    home = tmp_path_factory.mktemp("home")
    wish = asked(folder)
    return fit_to_time(look(wish, home), wish, Home(home))


def test_file_is_the_space_that_was_planned(labelled: FirstSpace, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(labelled.text, encoding="utf-8")
    assert load_spec(tmp_path / "space.yaml") == labelled.spec
    assert labelled.text.startswith("# yaml-language-server: $schema=file:///")
    schema = Path(labelled.text.splitlines()[0].partition("file://")[2])
    assert schema.is_file()
    assert all(len(line) <= 120 for line in labelled.text.splitlines()[1:])


def test_space_of_labelled_images_is_for_labels(labelled: FirstSpace) -> None:
    spec, images = labelled.spec, labelled.seen.images
    assert dict(spec.objectives) == {"nmi": "maximize", "prior_rmse": "minimize"} and spec.names_objectives
    assert spec.search["categories"].choice == (4, 5), "more than the three classes"
    assert str(spec.constraints["classes_found"]) == ">= 3"
    assert (spec.dataset.image_size, spec.dataset.channels, spec.dataset.imbalance) == (16, 1, "none")
    check_fit(spec, images)
    assert find_unused_in_search(spec) == []


def test_search_is_as_long_as_was_asked_for(labelled: FirstSpace) -> None:
    assert 0.5 * HOUR < labelled.seconds < HOUR
    assert labelled.plan.slots == 2
    assert labelled.seconds == labelled.cost.seconds(labelled.spec, labelled.plan)
    assert f"Planned for 60 min with 2 trials at once: about {labelled.seconds / 60:.0f} min" in labelled.text


def test_too_little_time_is_refused_with_what_is_needed(labelled: FirstSpace, tmp_path: Path) -> None:
    wish = asked(labelled.spec.dataset.root, seconds=1.0)
    with pytest.raises(ConfigError, match=r"--time: got 1 s; the smallest search .* 8 trials .* give that") as caught:
        fit_to_time(labelled.seen, wish, Home(tmp_path))
    assert "--slots" in str(caught.value) and caught.value.exit_code == 2


def test_space_of_unlabelled_images_is_for_what_needs_no_labels(tmp_path: Path) -> None:
    seen = look(asked(paint(tmp_path / "images", labelled=False)), tmp_path / "home")
    text, spec = space_text(seen.draft, budget_of(16, 1500), ""), spec_of(seen)
    assert not spec.names_objectives and "categories" not in spec.search and not spec.constraints
    assert spec.model.categories == 10
    assert "eig-tune suggest-k" in text and "label_free_score" in text
    check_fit(spec, seen.images)


@pytest.mark.parametrize(("coloured", "channels"), [(False, 1), (True, 3)])
def test_channels_are_those_that_the_images_have(tmp_path: Path, coloured: bool, channels: int) -> None:
    seen = look(asked(paint(tmp_path / "images", labelled=True, coloured=coloured)), tmp_path / "home")
    assert seen.draft.dataset.channels == seen.images.channels == channels


@pytest.mark.parametrize(
    ("side", "gpu", "size", "width"), [(9, False, 16, 16), (30, False, 32, 32), (90, False, 32, 32), (90, True, 64, 64)]
)
def test_size_is_that_of_the_images_as_far_as_the_machine_is_quick(
    tmp_path: Path, side: int, gpu: bool, size: int, width: int
) -> None:
    seen = look(asked(paint(tmp_path / "images", labelled=True, count=30, side=side), gpu=gpu), tmp_path / "home")
    assert (seen.images.image_size, seen.draft.width) == (size, width)
    assert spec_of(seen).train.batch_size == 16, "there are 24 to train on"


@pytest.mark.parametrize(("size", "follows"), [(28, False), (32, True), (64, True)])
def test_larger_images_are_trained_as_the_spaces_of_their_size_are(size: int, follows: bool, tmp_path: Path) -> None:
    spec = spec_of(look(asked(paint(tmp_path / "images", labelled=True), image_size=size), tmp_path / "home"))
    train = spec.train
    found = (train.diff_translation, train.prior_update, train.prior_warmup_steps, spec.start_from[0]["prior_lr"])
    if not follows:
        assert found == (0, "gradient", 0, 3e-3)
        return
    assert found == (0.0625, "posterior", train.steps // 2, 4e-3)
    shipped = load_spec(SPACES / f"colour_{size}.yaml")
    assert (shipped.train.diff_translation, shipped.search["prior_lr"]) == (0.0625, spec.search["prior_lr"])
    assert shipped.start_from == spec.start_from


def test_what_is_asked_for_is_written(tmp_path: Path) -> None:
    folder = paint(tmp_path / "images", labelled=True)
    wish = asked(folder, image_size=8, channels=3, kind="photographs", categories=3)
    spec = spec_of(look(wish, tmp_path / "home"))
    assert (spec.dataset.image_size, spec.dataset.channels, spec.model.categories) == (8, 3, 3)
    assert spec.augment.flip and "categories" not in spec.search
    fewer = asked(folder, categories=2)
    assert not spec_of(look(fewer, tmp_path / "home")).constraints, "two categories are not three classes"


def test_files_arrays_and_published_names_are_taken_too(tmp_path: Path) -> None:
    paint(tmp_path / "images", labelled=True)
    files = sorted((tmp_path / "images").rglob("*.png"))
    lines = [f"{file.relative_to(tmp_path)},{file.parent.name}" for file in files]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *lines]))
    pixels = np.random.default_rng(0).integers(256, size=(40, 3, 10, 10), dtype=np.uint8)
    np.save(tmp_path / "array.npy", pixels)
    np.savez(tmp_path / "array.npz", images=pixels[:, :1].repeat(3, axis=1), labels=np.arange(40) % 4)
    for name, source, size, channels, classes in (
        ("list.csv", "file-list", 16, 1, 3),
        ("array.npy", "array-file", 16, 3, 0),
        ("array.npz", "array-file", 16, 1, 4),
        ("digits", "digits", 16, 1, 10),
    ):
        wish = asked(name if name == "digits" else tmp_path / name)
        spec = spec_of(look(wish, tmp_path / "home"))
        assert (spec.dataset.name, spec.dataset.image_size, spec.dataset.channels) == (source, size, channels)
        bound = spec.constraints.get("classes_found")
        assert (0 if bound is None else bound.value) == classes
    assert spec.dataset.imbalance != "none", "a published data set is made imbalanced, as by default"


@pytest.mark.parametrize("name", ["a: b #c", "quo\"te's", "[x]", "ünï – 写真 🌷", "- dash", "%percent", "~"])
def test_path_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    folder = paint(tmp_path / name, labelled=True, count=30)
    seen = look(asked(folder), tmp_path / "home")
    assert spec_of(seen).dataset.root == folder


def test_relative_folder_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "images", labelled=True, count=30)
    monkeypatch.chdir(tmp_path)
    assert find_source("images").root == tmp_path / "images"


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no images")
    for wrong in (tmp_path / "none", tmp_path / "notes.txt", "mnits"):
        with pytest.raises(DataError, match="FOLDER: there is no"):
            find_source(str(wrong))
    with pytest.raises(DataError, match="--root"):
        find_source(str(tmp_path), tmp_path)
    assert find_source("mnist", tmp_path) == DatasetConfig(name="mnist", root=tmp_path)
