"""The model that is taken home of a confirmed trial, through MLflow: its own or a fresh seed's, without labels."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import eig_tune
from eig_tune.cli.app import app
from eig_tune.errors import EigTuneError, ResultError
from eig_tune.reports.mlflow_runs import MODEL_FOLDER
from eig_tune.tracking import OBJECTIVES_TAG, SearchTracker, Store, local_uri, open_store
from eig_tune.training import TrainConfig, checkpoint
from eig_tune.training.loop import TrialData, fit

NAME = "seeds"


class Written:
    """A search in MLflow: trial 0 with its confirmations, as a test says."""

    def __init__(self, store: Store) -> None:
        tags = {OBJECTIVES_TAG: json.dumps({"nmi": "maximize"})}
        self.tracker = SearchTracker(store, "search", "a" * 32, {}, tags)

    def run(
        self,
        key: str,
        metrics: Mapping[str, float],
        model: Path | None,
        status: str = "finished",
        confirmation: str = "",
        **params: Any,
    ) -> None:
        kind, below = ("confirmation", key.partition(".")[0]) if "." in key else ("trial", None)
        self.tracker.start_run(key, key, params, 1.0, kind, below)
        self.tracker.log_metrics(key, 100, metrics, 2.0)
        if model is not None:
            self.tracker.log_artifacts(key, lambda to: checkpoint.write_weights(model, to), MODEL_FOLDER)
        self.tracker.end_run(key, "FINISHED", {"status": status, "confirmation": confirmation}, 3.0)

    def close(self) -> None:
        self.tracker.close("FINISHED", {})
        assert self.tracker.errors == []


@pytest.fixture(scope="module")
def trained(
    tiny_config: TrainConfig, trial_data: TrialData, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Path]:
    """Checkpoints of two seeds."""
    folders = {}
    for seed in (0, 1):
        folders[seed] = tmp_path_factory.mktemp(f"seed{seed}")
        *_, last = fit(tiny_config.with_params({"seed": seed}), trial_data, device=torch.device("cpu"))
        last.save(folders[seed])
    return folders


@pytest.fixture(scope="module")
def home(trained: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three fresh seeds the best by the score has no model any more, the best by labels has a low score, and one
    with a higher score was trained on other images."""
    home = tmp_path_factory.mktemp("home")
    written = Written(open_store(local_uri(home), NAME, home))
    written.run("0", {"nmi": 0.9, "label_free_score": 0.5}, trained[0], lambda_1=1.0)
    written.run("0.0", {"nmi": 0.99, "label_free_score": 0.4}, trained[0], trial=0, seed=0)
    written.run("0.1", {"nmi": 0.6, "label_free_score": 0.7}, trained[1], trial=0, seed=1)
    written.run("0.2", {"nmi": 0.9, "label_free_score": 0.9}, None, trial=0, seed=2)
    written.run("0.3", {"nmi": 0.9, "label_free_score": 0.9}, trained[0], "failed", trial=0, seed=3)
    written.run("0.0.2", {"nmi": 0.9, "label_free_score": 0.95}, trained[0], trial=0, seed=0, split=2)
    written.close()
    return home


def test_exported_model_is_that_of_the_best_seed_and_says_so(
    home: Path, trained: dict[int, Path], tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, ["best", "--home", str(home), "--export", str(tmp_path / "model"), "--json"])
    assert done.exit_code == 0, done.exception
    why = "the best of 3 models by label_free_score, 0.700; its own seed 0.500, fresh seed 0 0.400"
    assert f"its model: fresh seed 1 ({why})" in done.stderr
    told = json.loads(done.stdout)["model"]
    assert (told["seed"], told["why"], told["metrics"]["nmi"]) == ("fresh seed 1", why, 0.6)
    provenance = json.loads((tmp_path / "model" / "config.json").read_text())["provenance"]
    assert (provenance["seed"], provenance["mlflow_run"]) == ("fresh seed 1", told["run_id"])
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"Of the models of these parameters it is that of fresh seed 1: {why}." in card
    assert "| nmi | 0.6000 | 0.9000 | – |" in card
    checkpoint.write_weights(trained[1], tmp_path / "expected")
    expected = load_file(tmp_path / "expected" / checkpoint.TENSORS_FILE)
    weights = load_file(tmp_path / "model" / "weights.safetensors")
    assert weights.keys() <= expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights.items())


def test_model_in_python_is_the_exported_one(home: Path) -> None:
    best = eig_tune.open_search(NAME, home=home).best()
    assert best.trial_model.seed == "fresh seed 1" and best.trial_model.metrics["nmi"] == 0.6
    assert best.metrics["nmi"] == 0.9, "that of the trial"
    assert best.model().record.config.seed == 1


def test_without_a_score_it_is_the_trials_own(trained: dict[int, Path], tmp_path: Path) -> None:
    """As of searches of earlier versions, which kept no other models either."""
    written = Written(open_store(local_uri(tmp_path), NAME, tmp_path))
    written.run("0", {"nmi": 0.6}, trained[0], lambda_1=1.0)
    written.run("0.0", {"nmi": 0.99}, None, trial=0, seed=0)
    written.run("1", {"nmi": 0.5}, None, lambda_1=1.0)
    written.close()
    result = eig_tune.open_search(NAME, home=tmp_path)
    assert str(result.best().trial_model) == "its own seed (the only one of which there is a model)"
    done = CliRunner().invoke(app, ["best", "--home", str(tmp_path)])
    assert done.exit_code == 0 and "its model: its own seed (the only one" in done.stdout


@pytest.fixture(scope="module")
def several(trained: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A confirmed trial, a better one that was not confirmed, one that neither is the best nor confirmed, and one that
    was stopped."""
    home = tmp_path_factory.mktemp("several")
    written = Written(open_store(local_uri(home), NAME, home))
    confirmed = {"confirmed.nmi": 0.8, "confirmed_std.nmi": 0.02, "confirmed.seeds": 3.0}
    written.run("0", {"nmi": 0.9, "label_free_score": 0.1, **confirmed}, None, confirmation="complete", tau=0.1)
    written.run("0.0", {"nmi": 0.8, "label_free_score": 0.2}, trained[1], trial=0, seed=0)
    written.run("1", {"nmi": 0.95}, trained[0], confirmation="2 of 3 finished", tau=0.2)
    written.run("2", {"nmi": 0.5}, trained[0], tau=0.3)
    written.run("3", {"nmi": 0.99}, None, "stopped", tau=0.4)
    written.close()
    return home


def best(home: Path, *options: str) -> Any:
    done = CliRunner().invoke(app, ["best", "--home", str(home), *options], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.exception
    return done


def test_list_has_the_front_and_the_confirmed_trials_and_where_their_models_are(several: Path) -> None:
    done = best(several, "--list")
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()[2:]]
    listed = {each["trial"]: each for each in json.loads(best(several, "--list", "--json").stdout)}
    runs = {number: each["model"]["run_id"] for number, each in listed.items()}
    assert rows == [
        f"0 0.800 ± 0.020 3 fresh seeds fresh seed 0 {runs[0]}",
        f"1 yes 0.950 1 seed; confirmed: 2 of 3 finished its own seed {runs[1]}",
    ]
    assert (listed[0]["front"], listed[1]["front"]) == (False, True)
    assert f"take one home: eig-tune best --name {NAME} --trial N --export DIR --home {several}" in done.stderr


def test_any_finished_trial_can_be_taken_home(several: Path, tmp_path: Path) -> None:
    done = best(several, "--trial", "2", "--export", str(tmp_path / "model"), "--json")
    assert f"{NAME}: trial 2, as asked for" in done.stderr
    assert json.loads(done.stdout)["params"] == {"tau": 0.3}
    provenance = json.loads((tmp_path / "model" / "config.json").read_text())["provenance"]
    assert (provenance["trial"], provenance["chosen_by"]) == (2, "number")
    in_python = eig_tune.open_search(NAME, home=several).trial(2)
    assert in_python.params == {"tau": 0.3} and "best" not in repr(in_python)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (3, "trial 3 is stopped, and has no model; finished are 0, 1, 2"),
        (9, "there is no trial 9; finished are 0, 1, 2"),
    ],
)
def test_trial_without_a_model_is_refused_and_the_finished_ones_are_named(
    several: Path, number: int, expected: str
) -> None:
    with pytest.raises(ResultError, match=expected):
        eig_tune.open_search(NAME, home=several).trial(number)


def test_best_by_an_objective_names_a_better_trial_that_was_not_chosen_from(several: Path) -> None:
    shown = best(several, "--by", "nmi").stdout
    assert "trial 0, the only confirmed trial" in shown
    assert "trial 1 has found nmi 0.950, but was not confirmed; --trial takes it" in shown
    assert "--trial takes it" not in best(several, "--trial", "1").stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--list", "--trial", "1"], "--list: shows all"),
        (["--list", "--export", "x"], "--list: shows all"),
        (["--trial", "1", "--by", "nmi"], "--trial: names the trial"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], expected: str) -> None:
    with pytest.raises(EigTuneError, match=expected):
        app(["best", *options], standalone_mode=False)
