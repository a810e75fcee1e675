"""The MLflow runs of a search's trials: parameters, metrics, tags, pictures and models, as the engine's events come."""

import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from eig_tune.cluster.storage import Storage
from eig_tune.errors import CheckpointError, one_line
from eig_tune.evaluation import figures
from eig_tune.evaluation.record import EVALUATION_FILE, SAMPLES_FILE, read_evaluation
from eig_tune.hpo.candidates import SECOND_SEED, SPLIT
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.trial import HALVED_BATCH, Action, Report, Trial
from eig_tune.reports.categories import write_categories
from eig_tune.reports.run_texts import SAMPLES_PICTURE, describe_end, describe_start, name_of, result_name
from eig_tune.tracking import SearchTracker
from eig_tune.training import checkpoint as checkpoints

MODEL_FOLDER = "model"
SAMPLES = "samples"  # the series of pictures that shows the classes emerging
# Sending a picture takes MLflow some 0.1 s; a fast trial must not make more of them than can be sent. Its last one
# is always sent.
_PICTURE_EVERY_SECONDS = 5.0
# A trial that was stopped early has done what was asked of it; MLflow shows KILLED in red, as it does FAILED. What has
# become of a trial is in its tag `status`.
_MLFLOW_STATUS = {"finished": "FINISHED", "stopped": "FINISHED", "collapsed": "FAILED", "failed": "FAILED"}


class MlflowRuns(Observer):
    """An observer of the engine that keeps one MLflow run per trial.

    Args:
        tracker: where to write.
        storage: where checkpoints lie; that of an ended trial which is not ``kept`` is deleted when MLflow has
            everything of the trial.
        classes: names of the true classes, for the pictures.
        method: the method of trials whose params name none.
        rungs: steps at which trials are compared.
        objectives: what trials are judged by, with which the names of ended runs begin.
        models: keep the weights of every finished trial that was trained on the search's own images.
        standing: further tags of a finished trial, which may be set anew when the search ends.
        confirming: the trials are second or fresh seeds, whose runs lie below those of the trials they confirm.
        kept: of finished ones, the numbers of those whose checkpoints are kept.
    """

    def __init__(
        self,
        tracker: SearchTracker,
        storage: Storage,
        classes: Sequence[str],
        method: str,
        rungs: Sequence[int] = (),
        *,
        objectives: Iterable[str] = (),
        models: bool = False,
        standing: Callable[[Trial], Mapping[str, str]] = lambda trial: {},
        confirming: bool = False,
        kept: Callable[[Iterable[Trial]], Container[int]] = lambda finished: (),
    ) -> None:
        self._tracker = tracker
        self._storage = storage
        self._classes = classes
        self._method = method
        self._rungs = rungs
        self._objectives = tuple(objectives)
        self._models = models
        self._standing = standing
        self._confirming = confirming
        self._kept = kept
        self._finished: dict[str, Trial] = {}  # those whose checkpoints are kept as yet, by the keys of their runs
        self._pictured: dict[int, tuple[int, float]] = {}

    def _key(self, trial: Trial) -> str:
        return _key(trial, self._confirming)

    def catch_up(self, trials: Mapping[int, Trial]) -> None:
        """Write what an earlier process may not have written before it was killed.

        Metrics that are there already are written again, which changes nothing: MLflow keeps one copy.
        """
        for trial in trials.values():
            if trial.ended and self._has_ended_so(trial):
                continue
            self._tracker.reopen_run(self._key(trial))
            self.trial_started(trial)
            for report in trial.reports.values():
                self.trial_reported(trial, report)
            self.trial_checkpointed(trial)
            self.mark_interrupted([trial])
            if trial.status == "paused":  # which the last report does not say of one that had finished before
                self._tracker.set_tags(self._key(trial), {"status": trial.status})
            if trial.ended:
                self.trial_ended(trial)

    def _has_ended_so(self, trial: Trial) -> bool:
        """Whether MLflow has everything of an ended trial, and not of what it was before it went on with more steps."""
        key, now = self._key(trial), {"status": trial.status, "step": str(trial.last.step if trial.last else 0)}
        found = self._tracker.found.get(key, {})
        return key in self._tracker.ended and all(found.get(name, value) == value for name, value in now.items())

    def trial_started(self, trial: Trial) -> None:
        key, name = self._key(trial), name_of(trial, confirming=self._confirming)
        if self._confirming:
            kind = "second-seed" if trial.params["seed"] == SECOND_SEED else "confirmation"
            self._tracker.start_run(key, name, trial.params, trial.at, kind, below=str(trial.params["trial"]))
        else:
            self._tracker.start_run(key, name, trial.params, trial.at)
        text = describe_start(trial, str(self._tracker.run_page()), confirming=self._confirming)
        self._tracker.describe(lambda: text, key)

    def trial_resumed(self, trial: Trial) -> None:
        self._tracker.reopen_run(self._key(trial))
        self._tracker.set_tags(self._key(trial), {"status": "running"})

    def mark_interrupted(self, trials: Iterable[Trial]) -> None:
        """Tag those of ``trials`` that are training as interrupted, because the search is being stopped."""
        for trial in trials:
            if trial.status == "running":
                self._tracker.set_tags(self._key(trial), {"status": trial.outcome})

    def trial_reported(self, trial: Trial, report: Report) -> None:
        self._tracker.log_metrics(self._key(trial), report.step, report.metrics, report.at)
        if report.decision.action is Action.PAUSE:
            self._tracker.set_tags(self._key(trial), {"status": "paused"})

    def trial_checkpointed(self, trial: Trial) -> None:
        _, before = self._pictured.get(trial.number, (0, 0.0))
        if _time_of_checkpoint(trial) - before >= _PICTURE_EVERY_SECONDS:
            self._log_picture(trial)

    def _log_picture(self, trial: Trial) -> None:
        at = _time_of_checkpoint(trial)
        if trial.checkpoint is None:
            return
        self._pictured[trial.number] = trial.checkpoint_step, at
        try:
            # Read at once: the file is deleted when the trial's next checkpoint is whole.
            picture = self._storage.read(trial.checkpoint, SAMPLES_FILE)
        except OSError:
            return  # a missing picture must not end a search; drawing the trial's end reports what is wrong
        self._tracker.log_picture(self._key(trial), SAMPLES, picture, trial.checkpoint_step, at)

    def trial_ended(self, trial: Trial) -> None:
        key, location = self._key(trial), trial.checkpoint
        pictured, _ = self._pictured.pop(trial.number, (0, 0.0))
        if pictured != trial.checkpoint_step:
            self._log_picture(trial)
        if location is not None:
            self._tracker.log_artifacts(key, lambda folder: self._draw(trial, location, folder))
            # Of every finished trial, because the best is not known before the confirmations have ended, and of every
            # fresh seed, because the best of them is taken home; on other images they are models of other images.
            if self._models and trial.status == "finished" and not (self._confirming and SPLIT in trial.params):
                copy = partial(self._copy_weights, trial, location)
                self._tracker.log_artifacts(key, copy, MODEL_FOLDER)
        status, at = _MLFLOW_STATUS[trial.status], trial.ended_at or trial.at
        name = result_name(trial, self._objectives, confirming=self._confirming)
        self._tracker.describe(partial(self._description, trial, key), key)
        self._tracker.end_run(key, status, self._tags(trial), at, name)
        if location is not None and trial.status == "finished":
            self._finished[key] = trial
            self._delete_all_but_kept()
        elif location is not None:
            self._delete_checkpoint(key, trial)

    def _delete_all_but_kept(self) -> None:
        """Have the checkpoints of finished trials deleted that are not kept, or not any more."""
        kept = self._kept(self._finished.values())
        for key, trial in list(self._finished.items()):
            if trial.number not in kept:
                self._delete_checkpoint(key, self._finished.pop(key))

    def _delete_checkpoint(self, key: str, trial: Trial) -> None:
        """Have it deleted when MLflow has everything of the trial."""
        self._tracker.once_ended(key, partial(self._storage.delete, str(trial.checkpoint)))

    def _description(self, trial: Trial, key: str) -> str:
        search, own = str(self._tracker.run_page()), self._tracker.run_page(key)
        return describe_end(trial, self._objectives, search, own, confirming=self._confirming)

    def _draw(self, trial: Trial, location: str, folder: Path) -> None:
        with self._opened(trial, location, "pictures") as checkpoint:
            draw_trial(checkpoint, self._classes, folder)

    def _copy_weights(self, trial: Trial, location: str, folder: Path) -> None:
        with self._opened(trial, location, "model") as checkpoint:
            checkpoints.write_weights(checkpoint, folder)
            if (checkpoint / EVALUATION_FILE).is_file():  # says which categories look alike
                shutil.copy(checkpoint / EVALUATION_FILE, folder)

    @contextmanager
    def _opened(self, trial: Trial, location: str, what: str) -> Iterator[Path]:
        try:
            with self._storage.local(location) as checkpoint:
                yield checkpoint
        except (OSError, CheckpointError) as error:
            name = f"run {self._key(trial)}" if self._confirming else f"trial {trial.number}"
            raise CheckpointError(f"{name}: MLflow has no {what} of it ({one_line(error)})") from error

    def _tags(self, trial: Trial) -> dict[str, str]:
        """Tags by which ended trials are filtered; ``rung`` and ``halved_batch_size`` only where there is one."""
        rung = trial.rung(self._rungs)
        halved = trial.last.metrics.get(HALVED_BATCH) if trial.last else None
        return {
            "status": trial.status,
            "stop_reason": trial.reason,
            "method": str(trial.params.get("method", self._method)),
            "ray_trial_id": trial.ray_trial_id,
            "step": str(trial.last.step if trial.last else 0),
            **({} if rung is None else {"rung": str(rung)}),
            **({} if halved is None else {HALVED_BATCH: f"{halved:.0f}"}),
            **(self._standing(trial) if trial.status == "finished" else {}),
        }


def _time_of_checkpoint(trial: Trial) -> float:
    report = trial.reports.get(trial.checkpoint_step)
    return trial.at if report is None else report.at


def _key(trial: Trial, confirming: bool) -> str:
    """By which its run is found again: 3 for a trial, 3.0 for its first fresh seed, 3.0.2 for that on split 2."""
    if not confirming:
        return str(trial.number)
    return ".".join(str(trial.params[name]) for name in ("trial", "seed", SPLIT) if name in trial.params)


def needed_checkpoints(
    trials: Iterable[Trial], ended: Container[str], kept: Container[int] = (), *, confirming: bool = False
) -> set[str]:
    """Locations of the checkpoints of trials that go on, or may, or of which MLflow does not have everything yet.

    Args:
        trials: all trials of an event log.
        ended: keys of the runs of which MLflow has everything.
        kept: numbers of those whose checkpoints are kept all the same.
        confirming: the trials are confirmations.
    """
    needed = set[str]()
    for trial in trials:
        is_needed = not trial.ended or _key(trial, confirming) not in ended
        if trial.checkpoint is not None and (is_needed or trial.number in kept):
            needed.add(trial.checkpoint)
        # It is still there only if a power failure came before the newest was on the disk.
        if trial.previous_checkpoint is not None and is_needed:
            needed.add(trial.previous_checkpoint[0])
    return needed


def draw_trial(checkpoint: Path, classes: Sequence[str], folder: Path) -> None:
    """Draw a checkpoint into ``folder``: samples, categories, category × class table, learned against true prior."""
    record = read_evaluation(checkpoint)
    record.samples.save(folder / SAMPLES_PICTURE)
    write_categories(record, classes, folder)
    if record.table is not None and record.class_distribution is not None:
        figures.save_figure(figures.table_figure(record.table, classes), folder / "category_class_table.png")
        prior = figures.prior_figure(record.table, record.prior, record.class_distribution, classes)
        figures.save_figure(prior, folder / "prior.png")
