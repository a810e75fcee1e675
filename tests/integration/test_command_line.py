"""The commands as a person types them, with real Ray processes and a real MLflow store."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EIG_TUNE = Path(sys.executable).with_name("eig-tune")
SPACE = Path(__file__).parents[2] / "search_spaces" / "digits.yaml"


def eig_tune(*arguments: object, timeout: float = 600) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [EIG_TUNE, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["best", "--home", "{tmp}/none"], "no search here yet"),
        (["validate", "{tmp}/none.yaml"], "no such file"),
        (["search", "--space", str(SPACE), "--home", "/proc/eig"], "cannot be written"),
        (["train", "--space", str(SPACE), "--set", "lamda_1=3", "--home", "{tmp}/home"], "did you mean 'lambda_1'"),
        (["train", "--space", str(SPACE), "--steps", "100", "--home", "{tmp}/home"], "train.report_every"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = eig_tune(*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.cluster
def test_search_then_best_takes_a_model_home(tmp_path: Path) -> None:
    home, model, space = tmp_path / "home", tmp_path / "model", tmp_path / "tiny.yaml"
    text = SPACE.read_text().replace("width: 16", "width: 4").replace("report_every: 250", "report_every: 20")
    space.write_text(text.replace("grace: 500", "grace: 20").replace("batch_size: 64", "batch_size: 16"))
    arguments = ["search", "--space", space, "--home", home, "--gpus", 0, "--trials", 4, "--steps", 60, "--json"]
    done = eig_tune(*arguments)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert len(outcome["trials"]) == 4
    assert all(trial["status"] in ("finished", "stopped") for trial in outcome["trials"])
    again = eig_tune(*arguments)
    assert again.returncode == 2 and "--resume" in again.stderr
    resumed = json.loads(eig_tune(*arguments, "--resume").stdout)
    assert resumed["trials"] == outcome["trials"]
    taken = eig_tune("best", "--home", home, "--export", model, "--json")
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout)["trial"] in outcome["front"]
    assert {file.name for file in model.iterdir()} >= {
        "weights.safetensors", "config.json", "metrics.json", "samples.png", "prior.png"
    }  # fmt: skip
    greedy = eig_tune("search", "--space", space, "--home", home, "--name", "greedy", "--gpus", 8)
    assert greedy.returncode == 2 and "--gpus: asked for 8" in greedy.stderr
    assert not (home / "studies" / "greedy").exists()
