"""Categories that look alike, put together in a bundle: from the evaluation to predictions and the card."""

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eig_tune.api.model import TrainedModel
from eig_tune.cli import main
from eig_tune.errors import CheckpointError, EigTuneError
from eig_tune.evaluation import metrics
from eig_tune.evaluation.record import EVALUATION_FILE
from eig_tune.export import read_bundle, write_bundle
from eig_tune.export.merge import merge_categories, parse_merge_to
from eig_tune.reports.groups import Groups, describe_groups, markdown, reached_in_words
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData, fit

CATEGORIES = 10


@pytest.fixture(scope="module")
def model(tiny_config: TrainConfig, trial_data: TrialData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of which the categories 0 and 1 look alike, and 2 and 5."""
    folder = tmp_path_factory.mktemp("groups") / "checkpoint"
    *_, last = fit(tiny_config, trial_data, device=torch.device("cpu"))
    last.save(folder)
    alike = np.eye(CATEGORIES)
    for one, other in ((0, 1), (2, 5)):
        alike[one, other] = alike[other, one] = 0.6
    document = json.loads((folder / EVALUATION_FILE).read_text())
    document["categories"]["alike"] = alike.tolist()
    (folder / EVALUATION_FILE).write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def bundle(model: Path) -> Path:
    groups = merge_categories(model, None)
    write_bundle(model, model, {"found": {}}, {"search": "s"}, model.parent / "bundle", groups)
    return model.parent / "bundle"


def test_shares_of_merged_categories_add_up(model: Path) -> None:
    groups = merge_categories(model, None)
    assert groups.of_category == (0, 0, 1, 2, 3, 1, 4, 5, 6, 7)
    prior = json.loads((model / EVALUATION_FILE).read_text())["prior"]
    assert groups.shares[:3] == pytest.approx((prior[0] + prior[1], prior[2] + prior[5], prior[3]))
    assert sum(groups.shares) == pytest.approx(1)
    assert groups.members(1) == [2, 5]


def test_what_groups_reach_is_what_the_metrics_say_of_the_merged_table(model: Path) -> None:
    document = json.loads((model / EVALUATION_FILE).read_text())
    groups, table = merge_categories(model, 9), np.array(document["table"])
    rows = np.array([table[groups.members(group)].sum(axis=0) for group in range(9)])
    assert groups.metrics["nmi"] == pytest.approx(metrics.nmi(rows))
    expected = metrics.prior_rmse(rows, np.array(groups.shares), np.array(document["class_distribution"]))
    assert groups.metrics["prior_rmse"] == pytest.approx(expected)
    assert "classes_found " in reached_in_words(groups) and "As groups: nmi" in markdown(groups)


def test_without_labels_there_is_no_word_of_them(model: Path, tmp_path: Path) -> None:
    document = json.loads((model / EVALUATION_FILE).read_text())
    (tmp_path / EVALUATION_FILE).write_text(json.dumps({**document, "table": None, "class_distribution": None}))
    groups = merge_categories(tmp_path, 3)
    assert len(groups.shares) == 3 and groups.metrics == {}
    assert "As groups" not in markdown(groups)


def test_bundle_tells_the_groups(bundle: Path, model: Path) -> None:
    groups = merge_categories(model, None)
    assert json.loads((bundle / "config.json").read_text())["groups"] == list(groups.of_category)
    assert json.loads((bundle / "metrics.json").read_text())["groups"]["shares"] == list(groups.shares)
    card = (bundle / "README.md").read_text()
    assert "8 groups" in card and "| 1 | 2, 5 |" in card
    record, network = read_bundle(bundle)
    trained = TrainedModel(record, network)
    np.testing.assert_allclose(trained.group_shares, groups.shares, atol=1e-6)
    images = np.random.default_rng(0).integers(256, size=(20, 16, 16), dtype=np.uint8)
    np.testing.assert_array_equal(trained.predict_groups(images), np.array(groups.of_category)[trained.predict(images)])


def test_predictions_have_the_group_beside_the_category(
    bundle: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(12, 16, 16), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    out = tmp_path / "categories.csv"
    monkeypatch.setattr(sys, "argv", ["eig-tune", "predict", str(bundle), str(tmp_path), "--out", str(out)])
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    with out.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    of_category = merge_categories(model, None).of_category
    assert [int(row["group"]) for row in rows] == [of_category[int(row["category"])] for row in rows]


def test_bundle_without_groups_has_none(model: Path, tmp_path: Path) -> None:
    write_bundle(model, model, {"found": {}}, {"search": "s"}, tmp_path / "bundle")
    assert "groups" not in json.loads((tmp_path / "bundle" / "config.json").read_text())
    record, network = read_bundle(tmp_path / "bundle")
    assert record.groups == ()
    assert TrainedModel(record, network).groups_K.tolist() == list(range(CATEGORIES))


@pytest.mark.parametrize("groups", [[0, 1], [0] * 9 + [2], [0] * 9 + [True], [-1] + [0] * 9, "0" * 10, [0.0] * 10, {}])
def test_groups_of_a_bundle_from_elsewhere_are_checked(bundle: Path, groups: object, tmp_path: Path) -> None:
    import hashlib

    for file in bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = {**json.loads((bundle / "config.json").read_text()), "groups": groups}
    (tmp_path / "config.json").write_text(json.dumps(config))
    sums = json.loads((tmp_path / "sha256.json").read_text())
    sums["config.json"] = hashlib.sha256((tmp_path / "config.json").read_bytes()).hexdigest()
    (tmp_path / "sha256.json").write_text(json.dumps(sums))
    with pytest.raises(CheckpointError, match="groups"):
        read_bundle(tmp_path)


def test_what_cannot_be_merged_is_one_message(model: Path, tmp_path: Path) -> None:
    with pytest.raises(EigTuneError, match="got 11; the model has 10 categories"):
        merge_categories(model, 11)
    with pytest.raises(CheckpointError, match="--merge-to: nothing is kept"):
        merge_categories(tmp_path, 3)


def test_groups_stand_at_the_end_of_a_description_in_place_of_earlier_ones() -> None:
    two, one = Groups((0, 0, 1), (0.6, 0.4), {}), Groups((0, 0, 0), (1.0,), {})
    first = describe_groups(two, "**trial 3** finished.\n")
    assert first.startswith("**trial 3** finished.\n\n### Groups of categories") and "| 1&emsp;| 2&emsp;|" in first
    second = describe_groups(one, first)
    assert second.startswith("**trial 3** finished.\n\n### Groups") and "0, 1, 2" in second and "0.400" not in second
    assert describe_groups(one, "").startswith("### Groups")


def test_number_of_groups_is_a_number_or_auto() -> None:
    assert parse_merge_to("auto") is None and parse_merge_to("12") == 12
    for text in ("0", "-1", "all", "1.5", ""):
        with pytest.raises(EigTuneError, match="--merge-to: got"):
            parse_merge_to(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--merge-to", "3"], "goes with --export DIR only"), (["--merge-to", "few", "--export", "x"], "got 'few'")],
)
def test_merge_to_is_checked_before_a_search_is_looked_for(
    options: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["eig-tune", "best", "--home", str(tmp_path), *options])
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"--merge-to: {message}" in capfd.readouterr().err
