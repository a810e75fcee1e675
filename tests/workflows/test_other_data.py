"""What holds for ten digits holds for two uneven classes, a hundred classes and few images, or is warned of."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged import logged

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.data import ImageData, Images
from eig_tune.errors import ConfigError
from eig_tune.evaluation import figures, metrics
from eig_tune.evaluation.classifier import EvaluationClassifier, train_classifier
from eig_tune.evaluation.evaluator import samples_per_category
from eig_tune.evaluation.sample_grid import sample_picture
from eig_tune.home import Home
from eig_tune.workflows.fit import check_fit
from eig_tune.workflows.prepare import prepare_classifier
from eig_tune.workflows.view import View


def spec(**sections: Any) -> SearchSpec:
    document = {"dataset": {"name": "digits"}, "search": {"lambda_1": {"loguniform": [0.3, 3]}}, **sections}
    return parse_spec(document, "test")


def images(counts: Mapping[int, int], held_out: Mapping[int, int] | None = None, size: int = 8) -> ImageData:
    """Noise with labels: label to how many."""

    def made(of: Mapping[int, int]) -> Images:
        labels_N = np.repeat(list(of), list(of.values())).astype(np.int64)
        pixels = np.random.default_rng(0).integers(0, 255, (len(labels_N), 1, size, size)).astype(np.uint8)
        return Images(pixels, labels_N)

    train = made(counts)
    names = tuple(f"class {label}" for label in counts)
    return ImageData("digits", names, training=train, trainable=train, held_out=made(held_out or counts))


def shown(of: SearchSpec, data: ImageData, home: Path, monkeypatch: pytest.MonkeyPatch, accuracy: float = 1.0) -> str:
    classifier = EvaluationClassifier(len(data.classes), 1, {}, accuracy)
    monkeypatch.setattr("eig_tune.workflows.prepare.train_classifier", lambda *arguments, **others: classifier)
    with logged() as log:
        prepare_classifier(of, data, Home(home), View())
    return log.text.strip()


def test_classifier_that_knows_the_commonest_class_alone_is_half_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 95 % and 5 % of noise it learns to say the first."""
    monkeypatch.setattr("eig_tune.evaluation.classifier._SMALLEST_STEPS", 20)
    monkeypatch.setattr("eig_tune.evaluation.classifier._LARGEST_STEPS", 20)
    classifier = train_classifier(images({0: 950, 1: 50}, {0: 95, 1: 5}), tmp_path)
    assert classifier.accuracy == pytest.approx(0.5, abs=0.1)


def test_unsure_classifier_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = images({0: 500, 1: 500})
    assert "knows just 50.0% of held-out images, averaged over classes" in shown(
        spec(), two, tmp_path, monkeypatch, 0.5
    )
    assert shown(spec(model={"categories": 2}), two, tmp_path, monkeypatch) == ""


@pytest.mark.parametrize(("classes", "steps"), [(2, 1500), (10, 1500), (100, 15000)])
def test_classifier_of_more_classes_may_train_for_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: int, steps: int
) -> None:
    """Its steps are those of twelve epochs, but at most …"""
    monkeypatch.setattr("eig_tune.evaluation.classifier._EPOCHS", 10**9)
    planned: list[int] = []

    def stop(done: int, of: int) -> None:
        planned.append(of)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_classifier(images(dict.fromkeys(range(classes), 2)), tmp_path, on_progress=stop)
    assert planned == [steps]


@pytest.mark.parametrize(("categories", "classes", "count"), [(2, 2, 40), (10, 10, 355), (40, 40, 80), (100, 100, 500)])
def test_nmi_of_chance_is_that_of_categories_drawn_at_random(categories: int, classes: int, count: int) -> None:
    random = np.random.default_rng(1)
    drawn = [
        metrics.nmi(
            metrics.category_table(
                random.integers(0, categories, count), random.integers(0, classes, count), (categories, classes)
            )
        )
        for _ in range(50)
    ]
    chance = metrics.nmi_of_chance(count, categories, np.full(classes, 1 / classes))
    assert chance == pytest.approx(np.mean(drawn), abs=4 * float(np.std(drawn)))


def test_many_classes_of_few_images_are_reported_for_what_chance_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hundred = images(dict.fromkeys(range(100), 20), dict.fromkeys(range(100), 5))
    few = spec(model={"categories": 100}, train={"images_per_category": 20})
    lines = shown(few, hundred, tmp_path, monkeypatch).splitlines()
    assert lines[0].startswith("WARNING nmi is about 0.") and "2000 generated images are few" in lines[0]
    assert lines[0].endswith("for 100 categories and 100 classes; raise train.images_per_category")
    assert lines[1].startswith("WARNING nmi_real is about 0.6") and "500 held-out images are few" in lines[1]
    enough = spec(model={"categories": 100})
    assert "nmi is" not in shown(enough, hundred, tmp_path, monkeypatch)


def test_ten_digits_are_enough(tmp_path: Path, digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(spec(), digits, tmp_path, monkeypatch) == ""


@pytest.mark.parametrize(
    ("sections", "where"),
    [
        ({"train": {"batch_size": 64}}, "train.batch_size: got 64, but there are 40 training images"),
        (
            {"search": {"batch_size": {"randint": [8, 64]}}},
            "search.batch_size: got 64, but there are 40 training images",
        ),
        (
            {"train": {"batch_size": 8}, "method": "ground-truth-infogan"},
            "model.categories: got 10; ground-truth-infogan",
        ),
        (
            {"train": {"batch_size": 8}, "search": {"method": {"choice": ["elastic-infogan", "ground-truth-infogan"]}}},
            "model.categories: got 10; ground-truth-infogan needs one per class, 2",
        ),
        (
            {
                "train": {"batch_size": 8},
                "method": "ground-truth-infogan",
                "search": {"categories": {"choice": [2, 4]}},
            },
            "search.categories: got 4; ground-truth-infogan needs one per class, 2",
        ),
    ],
)
def test_whatever_a_trial_may_draw_has_to_fit_the_images(sections: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_fit(spec(**sections), images({0: 30, 1: 10}))
    assert where in str(error.value)
    check_fit(spec(train={"batch_size": 40}), images({0: 30, 1: 10}))


@pytest.mark.parametrize("categories", [2, 10, 100, 101, 300, 1000])
@pytest.mark.parametrize("size", [8, 28, 64, 256])
def test_picture_of_samples_can_be_opened_and_made_small_however_many_categories(categories: int, size: int) -> None:
    """Pillow refuses to open 179 million pixels, and MLflow's small copy of a picture is 256 pixels high."""
    per_category = samples_per_category(categories)
    if categories * per_category * size**2 > 2e8:
        pytest.skip("the samples themselves would take gigabytes")
    picture = sample_picture(np.zeros((categories, per_category, 1, size, size), np.uint8))
    assert picture.width * picture.height < 89_000_000
    assert picture.width * 256 // picture.height >= 1
    assert categories > 100 or (per_category, picture.mode) == (10, "L")


def test_picture_of_ten_digits_is_as_it_was() -> None:
    assert sample_picture(np.zeros((10, 10, 1, 28, 28), np.uint8)).size == (582, 582)


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
def test_figures_have_room_for_the_names_of_all_classes(classes: int) -> None:
    table, names = np.eye(classes), [f"class number {label}" for label in range(classes)]
    shares = np.full(classes, 1 / classes)
    for figure in (figures.table_figure(table, names), figures.prior_figure(table, shares, shares, names)):
        width = figure.get_size_inches()[0]
        assert 0.15 * min(classes, 150) <= width < 40


def test_generated_rows_are_the_same_in_parts_as_at_once(digits: ImageData) -> None:
    """More than one part of five hundred."""
    import torch

    from eig_tune.evaluation.evaluator import sample_rows, to_pixels

    class Model:
        categories, noise_dim = 300, 3

        def generate(self, categories_N: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
            return (categories_N[:, None] / 300 * noise.tanh()).view(-1, 1, 1, 3).expand(-1, 1, 3, 3)

    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    rows = sample_rows(Model(), torch.arange(300), noise)  # type: ignore[arg-type]
    at_once = to_pixels(Model().generate(torch.arange(300).repeat_interleave(4), noise.repeat(300, 1)))
    np.testing.assert_array_equal(rows, at_once.reshape(300, 4, 1, 3, 3))


def test_held_out_classes_that_are_missing_do_not_count(
    few_digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eig_tune.evaluation.classifier._SMALLEST_STEPS", 2)
    monkeypatch.setattr("eig_tune.evaluation.classifier._LARGEST_STEPS", 2)
    labels = few_digits.held_out.labels
    assert labels is not None
    some = replace(few_digits, held_out=few_digits.held_out.take(np.flatnonzero(labels < 3)))
    assert 0.0 <= train_classifier(some, tmp_path).accuracy <= 1.0
