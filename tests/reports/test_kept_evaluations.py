"""What a comparison keeps of its finished cells for the pictures."""

import shutil
from pathlib import Path

from eig_tune.cluster.storage import Storage
from eig_tune.evaluation.record import EVALUATION_FILE, SAMPLES_FILE
from eig_tune.hpo.trial import Status, Trial
from eig_tune.reports.kept_evaluations import KeptEvaluations

STATUSES: dict[int, Status] = {0: "finished", 1: "finished", 2: "stopped", 3: "finished"}


def test_what_pictures_show_of_a_finished_cell_outlives_its_checkpoint(tmp_path: Path) -> None:
    trials = {n: Trial(n, {}, 0.0, status, checkpoint=str(tmp_path / f"c{n}")) for n, status in STATUSES.items()}
    for trial in trials.values():
        Path(str(trial.checkpoint)).mkdir()
        for file in (EVALUATION_FILE, SAMPLES_FILE):
            (Path(str(trial.checkpoint)) / file).write_text(f"{file} of {trial.number}")
    trials[3].checkpoint = str(tmp_path / "gone")
    kept = KeptEvaluations(tmp_path / "kept", Storage(str(tmp_path)))
    kept.trial_ended(trials[0])
    kept.trial_ended(trials[2])
    shutil.rmtree(tmp_path / "c0")
    KeptEvaluations(tmp_path / "kept", Storage(str(tmp_path))).catch_up(trials)
    assert {folder.name for folder in (tmp_path / "kept").iterdir() if folder.name.isdecimal()} == {"0", "1"}
    for number in ("0", "1"):
        for file in (EVALUATION_FILE, SAMPLES_FILE):
            assert (tmp_path / "kept" / number / file).read_text() == f"{file} of {number}"
