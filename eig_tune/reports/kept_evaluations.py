"""What the results of a comparison, or of a suggestion of K, need of its finished runs."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from eig_tune.cluster.storage import Storage
from eig_tune.errors import CheckpointError
from eig_tune.evaluation.record import EVALUATION_FILE, SAMPLES_FILE
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.trial import Trial


class KeptEvaluations(Observer):
    """An observer of the engine that keeps the evaluation of a finished run, whose checkpoint is deleted.

    Args:
        folder: where; one folder for each run in it, named by the trial's number.
        storage: where checkpoints lie.
    """

    def __init__(self, folder: Path, storage: Storage) -> None:
        self.folder = folder
        self._storage = storage

    def catch_up(self, trials: Mapping[int, Trial]) -> None:
        """Keep what an earlier process has not kept."""
        for trial in trials.values():
            if trial.status == "finished" and not (self.folder / str(trial.number)).exists():
                self._keep(trial)

    def trial_ended(self, trial: Trial) -> None:
        if trial.status == "finished":
            self._keep(trial)

    def _keep(self, trial: Trial) -> None:
        whole, unfinished = self.folder / str(trial.number), self.folder / f".{trial.number}"
        with suppress(CheckpointError, FileNotFoundError):  # a picture less must not end the work
            unfinished.mkdir(parents=True, exist_ok=True)
            with self._storage.local(str(trial.checkpoint)) as checkpoint:
                for file in (EVALUATION_FILE, SAMPLES_FILE):
                    (unfinished / file).write_bytes((checkpoint / file).read_bytes())
            unfinished.rename(whole)
