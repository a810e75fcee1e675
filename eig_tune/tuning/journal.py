"""The engine's events, written into MLflow in the words of a search."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from eig_tune.evaluation import figures
from eig_tune.evaluation.record import SAMPLES_FILE, read_evaluation
from eig_tune.tracking import SearchTracker
from eig_tune.training import checkpoint as checkpoints
from eig_tune.tuning.ledger import Report, Trial

MODEL_FOLDER = "model"
SAMPLES = "samples"  # the series of pictures that shows the classes emerging
# Sending a picture takes MLflow some 0.1 s; a fast trial must not make more of them than can be sent. Its last one
# is sent all the same: it shows what has come of it.
_PICTURE_EVERY_SECONDS = 5.0
_MLFLOW_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "collapsed": "FAILED", "failed": "FAILED"}


class MlflowJournal:
    """An observer of the engine that keeps one MLflow run per trial.

    Args:
        tracker: where to write.
        classes: names of the true classes, for the pictures.
        method: the method of trials whose values name none.
        rungs: steps at which trials are compared.
        confirming: the trials are confirmations, whose runs lie below those of the trials they confirm.
    """

    def __init__(
        self,
        tracker: SearchTracker,
        classes: Sequence[str],
        method: str,
        rungs: Sequence[int] = (),
        *,
        confirming: bool = False,
    ) -> None:
        self._tracker = tracker
        self._classes = classes
        self._method = method
        self._rungs = rungs
        self._confirming = confirming
        self._last_picture: dict[int, float] = {}

    def _key(self, trial: Trial) -> str:
        return f"{trial.values['trial']}.{trial.values['seed']}" if self._confirming else str(trial.number)

    def catch_up(self, trials: Mapping[int, Trial], front: Container[int]) -> None:
        """Write what an earlier process may not have written before it died.

        Metrics that are there already are written again, which changes nothing: MLflow keeps one copy.

        Args:
            front: numbers of the trials whose models are wanted.
        """
        for trial in trials.values():
            if self._key(trial) in self._tracker.ended:
                continue
            self.trial_started(trial)
            for report in trial.reports.values():
                self.trial_reported(trial, report)
            self.trial_checkpointed(trial)
            if trial.status != "running":
                self.trial_ended(trial, on_front=trial.number in front)

    def trial_started(self, trial: Trial) -> None:
        if self._confirming:
            name = f"confirmation of trial {trial.values['trial']} · seed {trial.values['seed']}"
            below = str(trial.values["trial"])
            self._tracker.start_run(self._key(trial), name, trial.values, trial.at, "confirmation", below)
        else:
            self._tracker.start_run(self._key(trial), trial.name, trial.values, trial.at)

    def trial_reported(self, trial: Trial, report: Report) -> None:
        self._tracker.log_metrics(self._key(trial), report.step, report.metrics, report.at)

    def trial_checkpointed(self, trial: Trial) -> None:
        report = trial.reports.get(trial.checkpoint_step)
        at = trial.at if report is None else report.at
        is_last = report is not None and report.verdict != "running"
        is_soon = at - self._last_picture.get(trial.number, 0.0) < _PICTURE_EVERY_SECONDS
        if trial.checkpoint is None or (is_soon and not is_last):
            return
        self._last_picture[trial.number] = at
        try:
            # Read at once: the file is deleted when the trial's next checkpoint is whole.
            picture = (Path(trial.checkpoint) / SAMPLES_FILE).read_bytes()
        except OSError:
            return  # a picture less must not end a search; what is wrong is told when the trial's end is drawn
        self._tracker.log_picture(self._key(trial), SAMPLES, picture, trial.checkpoint_step, at)

    def trial_ended(self, trial: Trial, on_front: bool) -> None:
        if trial.checkpoint is not None:
            checkpoint = Path(trial.checkpoint)
            self._tracker.log_artifacts(self._key(trial), lambda folder: draw_trial(checkpoint, self._classes, folder))
            if on_front:
                self._tracker.log_artifacts(
                    self._key(trial), lambda folder: checkpoints.write_weights(checkpoint, folder), MODEL_FOLDER
                )
        status, at = _MLFLOW_STATUS[trial.status], trial.ended_at or trial.at
        self._tracker.end_run(self._key(trial), status, self._tags(trial), at)

    def _tags(self, trial: Trial) -> dict[str, str]:
        """What ended trials are filtered by; no ``rung`` where the trial has entered none."""
        rung = trial.rung(self._rungs)
        return {
            "status": trial.status,
            "stop_reason": trial.reason,
            "method": str(trial.values.get("method", self._method)),
            "ray_trial_id": trial.runner,
            "step": str(trial.last.step if trial.last else 0),
            **({} if rung is None else {"rung": str(rung)}),
        }


def draw_trial(checkpoint: Path, classes: Sequence[str], folder: Path) -> None:
    """Pictures of a checkpoint: samples, category × class table, learned against true prior."""
    seen = read_evaluation(checkpoint)
    seen.samples.save(folder / "samples.png")
    if seen.table is not None and seen.class_distribution is not None:
        figures.save_figure(figures.table_figure(seen.table, classes), folder / "category_class_table.png")
        prior = figures.prior_figure(seen.table, seen.prior, seen.class_distribution, classes)
        figures.save_figure(prior, folder / "prior.png")
