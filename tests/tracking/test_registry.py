"""A trial is one version, only a better version becomes champion, and the run stays as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eig_tune.config.constraints import NO_CONSTRAINTS, Bound
from eig_tune.errors import EigTuneError, ResultError
from eig_tune.tracking import Store, open_store
from eig_tune.tracking.champion import Tags, compare, set_champion
from eig_tune.tracking.registry import add_version, check_model_name, download_bundle, find_version, update_tags

EXAMPLE = np.zeros((1, 1, 8, 8), dtype=np.uint8)
DIGITS = {"data_sha256": "d1"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    return open_store(f"sqlite:///{folder}/mlflow.db", "mine", folder)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "sha256.json").write_text("{}")
    return folder


def ended_run(store: Store) -> str:
    run_id = str(store.client.create_run(store.experiment_id, start_time=1000).info.run_id)
    store.client.set_terminated(run_id, status="FINISHED", end_time=2000)
    return run_id


def add(store: Store, name: str, bundle: Path, tags: Tags) -> int:
    return int(add_version(store, name, ended_run(store), bundle, EXAMPLE, tags).version)


def champion(store: Store, name: str) -> int:
    return int(store.client.get_model_version_by_alias(name, "champion").version)


def test_version_has_its_tags_and_the_run_stays_as_it_was(store: Store, bundle: Path) -> None:
    run_id = ended_run(store)
    before = store.client.get_run(run_id)
    assert find_version(store, "whole", run_id) is None
    made = add_version(store, "whole", run_id, bundle, EXAMPLE, {"nmi": "0.5", "trial": "3"})
    found: Any = find_version(store, "whole", run_id)
    assert (int(found.version), found.run_id, found.status) == (int(made.version), run_id, "READY")
    assert found.tags == {"nmi": "0.5", "trial": "3"}
    after = store.client.get_run(run_id)
    assert vars(after.info) == vars(before.info)
    assert after.data.metrics == before.data.metrics
    (linked,) = after.outputs.model_outputs
    assert store.client.get_logged_model(linked.model_id).status == "READY"
    update_tags(store, found, {"nmi": "0.5", "confirmed.nmi": "0.4"})
    again: Any = find_version(store, "whole", run_id)
    assert again.tags == {"nmi": "0.5", "trial": "3", "confirmed.nmi": "0.4"}
    update_tags(store, again, {"nmi": "0.5"})
    unconfirmed: Any = find_version(store, "whole", run_id)
    assert unconfirmed.tags == {"nmi": "0.5", "trial": "3"}, "it is not confirmed any more"
    assert find_version(store, "another", run_id) is None


def test_model_has_no_pickle_and_says_what_it_needs(store: Store, bundle: Path, tmp_path: Path) -> None:
    version = add_version(store, "files", ended_run(store), bundle, EXAMPLE, {})
    folder = Path(store.client.get_model_version_download_uri("files", version.version).removeprefix("file://"))
    names = {file.name for file in folder.rglob("*") if file.is_file()}
    assert names >= {"MLmodel", "served_model.py", "input_example.json", "requirements.txt", "sha256.json"}
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth"))]
    needed = (folder / "requirements.txt").read_text().split()
    assert [line.split("==")[0] for line in needed] == ["mlflow", "numpy", "onnxruntime", "pandas"]
    reference = f"models:/files/{version.version}"
    fetched = download_bundle(store.uri, reference, tmp_path / "fetched")
    assert [file.name for file in fetched.iterdir()] == ["sha256.json"]


def test_only_a_better_version_becomes_champion(store: Store, bundle: Path) -> None:
    steps = [
        # tags, whether it is forced, the champion then, the message
        ({"nmi": "0.9"}, False, 1, "version 1 is the champion of best now: there was none before"),
        (
            {"nmi": "0.8"},
            False,
            1,
            "version 1 stays the champion of best: nmi 0.8000 does not beat the champion's 0.9000 (both found)",
        ),
        ({"nmi": "0.91", "confirmed.nmi": "0.7"}, False, 3, "now: nmi 0.9100 beats the champion's 0.9000 (both found)"),
        (
            {"nmi": "0.99", "confirmed.nmi": "0.5"},
            False,
            3,
            "nmi 0.5000 does not beat the champion's 0.7000 (both conf",
        ),
        ({"nmi": "0.99"}, False, 3, "the champion is confirmed (nmi 0.7000), and this is not; --force overrides"),
        ({"nmi": "0.99", "data_sha256": "d2"}, False, 3, "different data and cannot be compared; --force overrides"),
        ({"prior_rmse": "0.01"}, False, 3, "the champion is confirmed (nmi 0.7000), and this is not"),
        ({"nmi": "0.2"}, True, 8, "version 8 is the champion of best now, by --force instead of version 3: the cham"),
    ]
    for number, (tags, force, expected, part) in enumerate(steps, start=1):
        all_tags = {**DIGITS, **tags}
        assert add(store, "best", bundle, all_tags) == number
        is_champion, message = set_champion(store, "best", number, all_tags, "nmi", "maximize", NO_CONSTRAINTS, force)
        assert (is_champion, champion(store, "best")) == (expected == number, expected)
        assert part in message and "\n" not in message
    assert set_champion(store, "best", 8, DIGITS, "nmi", "maximize", NO_CONSTRAINTS, force=False)[0]


@pytest.mark.parametrize(
    ("tags", "champion_tags", "direction", "better"),
    [
        ({"m": "0.1"}, {"m": "0.2"}, "minimize", True),
        ({"m": "0.2"}, {"m": "0.1"}, "minimize", False),
        ({"m": "0.2"}, {"m": "0.1"}, "maximize", True),
        ({"m": "0.1"}, {"m": "0.1"}, "maximize", False),
        ({"m": "0.1", "confirmed.m": "0.3"}, {"m": "0.9", "confirmed.m": "0.2"}, "maximize", True),
        ({"m": "0.96"}, {"m": "0.97", "confirmed.m": "0.95"}, "maximize", False),
        ({"m": "0.03"}, {"m": "0.02", "confirmed.m": "0.05"}, "minimize", False),
        ({"m": "0.9", "confirmed.m": "0.1"}, {"m": "0.8"}, "maximize", True),
        ({"m": "0.8", "confirmed.m": "0.9"}, {"m": "0.85"}, "maximize", False),
        ({"m": "0.96", "confirmed.m": "nan"}, {"m": "0.97", "confirmed.m": "0.95"}, "maximize", False),
        ({"m": "0.3"}, {"m": "great"}, "maximize", False),
        ({"m": "0.3"}, {"m": "nan"}, "maximize", False),
        ({"m": "0.3"}, {}, "maximize", False),
        ({"m": "0.3", "data_sha256": "unknown"}, {"m": "0.1", "data_sha256": "unknown"}, "maximize", False),
    ],
)
def test_versions_are_compared_by_what_was_confirmed(
    tags: Tags, champion_tags: Tags, direction: str, better: bool
) -> None:
    assert compare({**DIGITS, **tags}, {**DIGITS, **champion_tags}, "m", direction, NO_CONSTRAINTS)[0] is better


@pytest.mark.parametrize(
    ("tags", "champion_tags", "better", "why"),
    [
        ({"m": "0.9", "q": "0.7"}, {"m": "0.8", "q": "0.9"}, False, "this misses q >= 0.8 (both found)"),
        ({"m": "0.8", "q": "0.9"}, {"m": "0.9", "q": "0.7"}, True, "the champion misses q >= 0.8 (both found)"),
        ({"m": "0.8", "q": "0.9"}, {"m": "0.9"}, True, "the champion misses q >= 0.8 (both found)"),
        ({"m": "0.9", "q": "0.7"}, {"m": "0.8", "q": "0.6"}, True, "m 0.9000 beats the champion's 0.8000 (both found)"),
        ({"m": "0.9", "q": "0.9"}, {"m": "0.8", "q": "0.8"}, True, "m 0.9000 beats the champion's 0.8000 (both found)"),
        (
            {"m": "0.9", "q": "0.9", "confirmed.m": "0.9", "confirmed.q": "0.7"},
            {"m": "0.8", "q": "0.7", "confirmed.m": "0.8", "confirmed.q": "0.8"},
            False,
            "this misses q >= 0.8 (both confirmed)",
        ),
    ],
)
def test_version_that_misses_a_constraint_is_no_champion_over_one_that_meets_it(
    tags: Tags, champion_tags: Tags, better: bool, why: str
) -> None:
    given = {**DIGITS, **tags}, {**DIGITS, **champion_tags}
    assert compare(*given, "m", "maximize", {"q": Bound.parse(">= 0.8")}) == (better, why)


@pytest.mark.parametrize("name", ["", " ", "a/b", "models:/a", "a:b", "..", "a\nb", "x" * 300])
def test_name_that_mlflow_would_refuse_is_refused_at_once(name: str) -> None:
    with pytest.raises(EigTuneError, match="--register"):
        check_model_name(name)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("models:/known", "write a registered model as models:/NAME@champion or models:/NAME/3"),
        ("models:/known/Production", "write a registered model as"),
        ("models:/known/1/../../secret", "write a registered model as"),
        ("models:/unknown@champion", "there is no model 'unknown'"),
        ("models:/unknown/1", "there is no model 'unknown'"),
        ("models:/known@champion", "no version of 'known' has the alias 'champion'"),
        ("models:/known/7", "'known' has no version 7"),
    ],
)
def test_unknown_model_is_one_line(store: Store, tmp_path: Path, reference: str, message: str) -> None:
    if not store.client.search_registered_models("name = 'known'"):
        store.client.create_registered_model("known")
    with pytest.raises(ResultError, match=message) as raised:
        download_bundle(store.uri, reference, tmp_path)
    assert "\n" not in str(raised.value)


def test_download_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="does not exist"):
        download_bundle(f"sqlite:///{tmp_path}/none.db", "models:/known@champion", tmp_path)
    assert not list(tmp_path.iterdir())
