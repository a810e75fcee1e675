"""What a version left that had InfoGAN's networks alone: its checkpoints, runs and searches go on with these, also at
32×32, where a new space has others."""

import json
from pathlib import Path
from typing import Any

import pytest

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.data import DatasetConfig, load_images
from eig_tune.errors import ConfigError
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.models.networks import INFOGAN
from eig_tune.training import TrainConfig
from eig_tune.training.checkpoint import RUN_FILE, read_run
from eig_tune.training.config import with_named_networks
from eig_tune.training.loop import TrialData, read_model
from eig_tune.workflows.identity import as_begun, begin_or_check
from eig_tune.workflows.train import newest_checkpoint, run_single

NEW_FIELDS = ("network",)  # of `model`, which earlier versions did not write
SPACE: dict[str, Any] = {
    "dataset": {"name": "digits", "image_size": 32},
    "search": {"lambda_1": {"uniform": [0, 9]}},
}


@pytest.fixture(scope="module")
def large_data() -> TrialData:
    """Digits at 32×32."""
    images = load_images(DatasetConfig(name="digits", image_size=32))
    return TrialData(images, None)


@pytest.fixture
def begun(tmp_path: Path, tiny_config: TrainConfig, large_data: TrialData) -> Path:
    """The folder of a run of such a version, whose checkpoint names no network."""
    list(run_single(tiny_config.with_params({"network": INFOGAN, "steps": 2}), large_data, tmp_path))
    checkpoint = newest_checkpoint(tmp_path)
    assert checkpoint is not None
    record = json.loads((checkpoint / RUN_FILE).read_text())
    for name in NEW_FIELDS:
        del record["config"]["model"][name]
    (checkpoint / RUN_FILE).write_text(json.dumps(record))
    return tmp_path


def test_checkpoint_is_read_as_infogan(begun: Path, large_data: TrialData) -> None:
    checkpoint = newest_checkpoint(begun)
    assert checkpoint is not None
    assert read_run(checkpoint).network == INFOGAN
    _, model = read_model(checkpoint)
    assert "fully_connected.0.weight" in model.modules()["generator"].state_dict()


def test_single_run_goes_on_as_it_has_begun(begun: Path, tiny_config: TrainConfig, large_data: TrialData) -> None:
    assert [progress.step for progress in run_single(tiny_config, large_data, begun)] == [4, 5]
    new = newest_checkpoint(begun)
    assert new is not None
    assert read_run(new).network == INFOGAN


def test_new_run_of_the_same_images_has_others(tmp_path: Path, tiny_config: TrainConfig, large_data: TrialData) -> None:
    list(run_single(tiny_config.with_params({"steps": 1}), large_data, tmp_path))
    new = newest_checkpoint(tmp_path)
    assert new is not None
    assert read_run(new).network == "dcgan"


def test_space_that_was_written_without_networks_had_infogan() -> None:
    assert parse_spec(with_named_networks(SPACE), "test").model.network == INFOGAN
    named = {**SPACE, "model": {"network": "resnet"}}
    assert parse_spec(with_named_networks(named), "test").model.network == "resnet"


def traits(spec: SearchSpec) -> dict[str, Any]:
    return {"spec": spec.model_dump(mode="json", include={"dataset", "model", "train", "augment", "search"})}


@pytest.fixture
def earlier(tmp_path: Path) -> Home:
    """A home whose search `mine` was begun by such a version."""
    noted = traits(parse_spec(SPACE, "test"))
    for name in NEW_FIELDS:
        del noted["spec"]["model"][name]
    home = Home(tmp_path)
    with EventLog(home.event_log("mine")) as event_log:
        event_log.begin({"id": "0" * 32, "home": str(home.path), **noted})
    return home


def go_on(home: Home, document: dict[str, Any]) -> SearchSpec:
    spec = as_begun(parse_spec(document, "test"), home, "mine")
    with EventLog(home.event_log("mine")) as event_log:
        begin_or_check(event_log, "0" * 32, traits(spec), "'mine'", home)
    return spec


@pytest.mark.parametrize("model", [{}, {"network": INFOGAN}])
def test_search_goes_on_as_it_has_begun(earlier: Home, model: dict[str, str]) -> None:
    assert go_on(earlier, {**SPACE, "model": model}).model.network == INFOGAN


def test_search_that_now_names_other_networks_is_another_one(earlier: Home) -> None:
    with pytest.raises(ConfigError, match=r"model\.network: was 'infogan', is now 'dcgan'"):
        go_on(earlier, {**SPACE, "model": {"network": "dcgan"}})


def test_other_settings_of_the_search_are_compared_as_before(earlier: Home) -> None:
    with pytest.raises(ConfigError, match=r"train\.tau: was 0\.1, is now 0\.3"):
        go_on(earlier, {**SPACE, "train": {"tau": 0.3}})


def test_search_of_this_version_goes_on_by_the_size_of_its_images(tmp_path: Path) -> None:
    home, spec = Home(tmp_path), parse_spec(SPACE, "test")
    with EventLog(home.event_log("mine")) as event_log:
        event_log.begin({"id": "0" * 32, "home": str(home.path), **traits(spec)})
    assert go_on(home, SPACE).model.network == "auto"
