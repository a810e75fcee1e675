"""A single run's folder: a kill at any moment costs a part of the run, never its result."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from eig_tune.errors import EigTuneError
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData, fit
from eig_tune.workflows import train
from eig_tune.workflows.train import METRICS_FILE, check_out, newest_checkpoint, run_single


@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_interrupted_run_leaves_what_an_uninterrupted_one_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_config: TrainConfig, trial_data: TrialData, seconds: float
) -> None:
    """Each of its reports is kept, or it begins anew as long as there is no checkpoint."""
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", seconds)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    list(run_single(tiny_config, trial_data, whole))
    for _ in range(2):
        next(run_single(tiny_config, trial_data, cut))
    # Killed after the line of the report was written, before its checkpoint had its name; then in mid-line.
    with (cut / METRICS_FILE).open("a") as file:
        file.write(json.dumps({"step": 5, "nmi": 1.0}) + '\n{"step": 5, "nm')
    (cut / ".partial").mkdir()
    left = [2, 4, 5] if seconds else [5]
    assert [progress.step for progress in run_single(tiny_config, trial_data, cut)] == left
    assert (cut / METRICS_FILE).read_bytes() == (whole / METRICS_FILE).read_bytes()
    assert {file.name for file in cut.iterdir()} == {file.name for file in whole.iterdir()}
    weights = [newest_checkpoint(out) / "state.safetensors" for out in (whole, cut) if newest_checkpoint(out)]  # type: ignore[operator]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_run_is_kept_at_its_end_and_once_its_checkpoint_is_half_a_minute_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_config: TrainConfig, trial_data: TrialData
) -> None:
    now = 0.0
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: now))
    kept = []
    for progress in run_single(tiny_config.with_params({"report_every": 1}), trial_data, tmp_path):
        kept.append([folder.name for folder in tmp_path.glob("checkpoint-*")])
        now += 16.0 if progress.step < 4 else 0.0
    assert kept == [[], [], ["checkpoint-3"], ["checkpoint-3"], ["checkpoint-5"]]


def test_only_the_newest_checkpoint_is_kept(tmp_path: Path, tiny_config: TrainConfig, trial_data: TrialData) -> None:
    list(run_single(tiny_config, trial_data, tmp_path))
    assert [folder.name for folder in tmp_path.glob("checkpoint-*")] == ["checkpoint-5"]


def test_folder_with_a_run_is_kept_unless_it_is_resumed(
    tmp_path: Path, tiny_config: TrainConfig, trial_data: TrialData
) -> None:
    """Before its first checkpoint as well."""
    next(run_single(tiny_config, trial_data, tmp_path))
    assert newest_checkpoint(tmp_path) is None
    with pytest.raises(EigTuneError, match="--resume"):
        check_out(tmp_path, resume=False)
    check_out(tmp_path, resume=True)


def test_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(EigTuneError, match="cannot be written"):
        check_out(file / "run", resume=False)


def test_metrics_of_a_run_that_breaks_down_are_strict_json(
    tmp_path: Path, tiny_config: TrainConfig, trial_data: TrialData
) -> None:
    first = next(fit(tiny_config, trial_data))
    broken = replace(first, evaluation=replace(first.evaluation, metrics={"nmi": math.nan, "prior_rmse": math.inf}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "fit", lambda *_: iter([broken]))
        list(run_single(tiny_config, trial_data, tmp_path))
    (line,) = (tmp_path / METRICS_FILE).read_text().splitlines()
    assert "NaN" not in line and "Infinity" not in line
    assert (json.loads(line)["nmi"], json.loads(line)["prior_rmse"]) == (None, None)
