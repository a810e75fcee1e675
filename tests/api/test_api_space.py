"""Spaces from Python, and the images that are given beside them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eig_tune
from eig_tune.api.space import with_data
from eig_tune.data import DatasetConfig, ImbalanceSplit
from eig_tune.errors import ConfigError, DataError

DIGITS = Path("search_spaces/digits.yaml").resolve()
SPACE: dict[str, Any] = {"search": {"lambda_2": {"loguniform": [1, 30]}}}
IMAGES = np.zeros((6, 16, 16), np.uint8)


def test_file_and_mapping_of_the_same_words_are_the_same_space(tmp_path: Path) -> None:
    import yaml

    document = yaml.safe_load(DIGITS.read_text())
    assert eig_tune.load_space(DIGITS) == eig_tune.load_space(str(DIGITS)) == eig_tune.load_space(document)


def test_override_of_a_section_replaces_its_fields_and_any_other_its_whole_key() -> None:
    space = eig_tune.load_space(
        DIGITS, trials=4, train={"steps": 750}, search={"tau": {"uniform": [0.1, 0.2]}}, start_from=[]
    )
    assert (space.trials, space.train.steps, space.train.report_every) == (4, 750, 250)
    assert set(space.search) == {"tau"}
    again = eig_tune.load_space(space, trials=5)
    assert (again.trials, again.train.steps, set(again.search)) == (5, 750, {"tau"})
    assert eig_tune.load_space(again) is again


def test_mapping_is_left_as_it_was() -> None:
    document = {**SPACE, "train": {"steps": 3000}}
    eig_tune.load_space(document, train={"steps": 1000})
    assert document == {**SPACE, "train": {"steps": 3000}}


def test_every_mistake_in_a_mapping_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        eig_tune.load_space(SPACE, train={"stepz": 1}, trials=0, methods="all")
    shown = str(raised.value)
    assert shown.startswith("the space: 3 problems")
    assert "train.stepz: unknown key; did you mean 'steps'?" in shown
    assert "methods: unknown key" in shown


def test_space_without_a_data_set_is_for_arrays() -> None:
    space = eig_tune.load_space(SPACE)
    assert space.dataset.name == "arrays"
    spec, arrays = with_data(space, IMAGES)
    assert arrays is not None and arrays.pixels.shape == (6, 1, 16, 16)
    assert spec.dataset == DatasetConfig(name="arrays")


def test_arrays_take_the_place_of_the_spaces_images_and_keep_what_it_says_of_any() -> None:
    space = eig_tune.load_space(DIGITS, dataset={"image_size": 24})
    spec, _ = with_data(space, IMAGES, np.arange(6) % 2)
    assert spec.dataset == DatasetConfig(name="arrays", image_size=24, imbalance=ImbalanceSplit(split=0))
    spec, arrays = with_data(space, "mnist")
    assert arrays is None
    assert spec.dataset == DatasetConfig(name="mnist", image_size=24, imbalance=ImbalanceSplit(split=0))
    assert with_data(space, DatasetConfig(name="digits"))[0].dataset == DatasetConfig(name="digits")
    assert with_data(space, None) == (space, None)


def test_no_data_set_and_no_array_is_one_clear_line() -> None:
    space = eig_tune.load_space(DIGITS)
    with pytest.raises(ConfigError, match="data: 1 problem\n  name: got 'mnits'"):
        with_data(space, "mnits")
    with pytest.raises(ConfigError, match="labels: are given beside images only"):
        with_data(space, "mnist", np.arange(6))
    with pytest.raises(DataError, match="data: got list; give NumPy arrays or torch tensors"):
        with_data(space, [[0.0]])


def test_comparison_of_images_without_labels_is_refused_before_anything_runs(tmp_path: Path) -> None:
    space, images = {**SPACE, "train": {"batch_size": 2}}, np.arange(20 * 256, dtype=np.uint8).reshape(20, 16, 16)
    with pytest.raises(DataError, match="which need labels, and these images have none; give labels"):
        eig_tune.compare(space, images, home=tmp_path, gpus=0, view=eig_tune.View())


def test_names_are_all_there_and_nothing_else() -> None:
    for name in eig_tune.__all__:
        assert getattr(eig_tune, name) is not None
    assert set(eig_tune.__all__) <= set(dir(eig_tune))
    with pytest.raises(AttributeError, match="no attribute 'serch'"):
        eig_tune.serch  # noqa: B018


def test_reading_a_space_loads_neither_torch_nor_ray_nor_mlflow() -> None:
    code = f"import sys, eig_tune; eig_tune.load_space({str(DIGITS)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert {"torch", "ray", "mlflow", "matplotlib", "pandas", "rich"} & set(done.stdout.split()) == set()
