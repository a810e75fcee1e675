"""Running a search: data, judge, Ray, MLflow and the engine brought together."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eig_tune import strict_json
from eig_tune.cluster.moved_checkpoints import find_checkpoints
from eig_tune.cluster.tuner import TrialSpec, run_trials
from eig_tune.config.space import SearchSpec
from eig_tune.errors import ResultError
from eig_tune.home import Home
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.plan import make_plan
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.selection import Confirmed, choose, judged, start_points
from eig_tune.hpo.trial import Trial
from eig_tune.reports.curves import write_curves
from eig_tune.reports.description import describe_search
from eig_tune.reports.mlflow_runs import MlflowRuns, needed_checkpoints
from eig_tune.reports.optuna_study import StudyFile
from eig_tune.reports.plots import pictures, write_page, write_pictures
from eig_tune.stopping import Stop
from eig_tune.tracking import CONFIRMATION_TAG, OBJECTIVES_TAG, SearchTracker, read_search
from eig_tune.training.loop import TrialData
from eig_tune.workflows.confirm import confirm, confirmation_event_log, summaries
from eig_tune.workflows.identity import begin_or_check, find_search, noted_start_points, own_searches
from eig_tune.workflows.prepare import prepare_images
from eig_tune.workflows.session import (
    IMAGES,
    DiskUse,
    RunOptions,
    Session,
    log_moved_runs,
    provenance,
    set_up,
    tidy,
    write_spec,
)
from eig_tune.workflows.trial_log import TrialLog
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a search has come to.

    Attributes:
        front: of what was found.
        confirmed: every trial that was trained on fresh seeds, complete or not.
        best: the trial that ``eig-tune best`` names; None where none has finished.
        slots: trials that could run at once, at the most: nodes come and go.
        stopped: why it has ended before all was trained; nothing when all was.
    """

    name: str
    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    confirmed: tuple[Confirmed, ...]
    best: Trial | None
    slots: int
    wall_seconds: float
    disk: DiskUse
    tracking_errors: tuple[str, ...]
    stopped: str = ""


def run_search(spec: SearchSpec, options: RunOptions, home: Home, view: View) -> Outcome:
    """Run a search to its end, or as far as it gets; what it has reached is never lost.

    Raises:
        EigTuneError: it cannot begin; nothing half-made is left behind.
        StorageError: it cannot go on, because the disk is full or the storage gone.
    """
    started = time.monotonic()
    images = prepare_images(spec, home, view)
    traits: dict[str, Any] = {
        "spec": spec.model_dump(mode="json", exclude={"trials", "confirm", "compare"}),
        "data": images.fingerprint(),
    }
    search_id = find_search(home, options, traits)
    session = set_up(search_id, spec, options, {IMAGES: images}, home, view)
    runtime = session.runtime
    with (
        runtime.stop.gently(),
        EventLog(home.event_log(options.name), runtime.storage.uri) as event_log,
    ):
        begin_or_check(event_log, search_id, traits, repr(options.name), home)
        find_checkpoints(event_log, runtime.storage)
        tags = {**provenance(), OBJECTIVES_TAG: strict_json.dumps(spec.objectives)}
        parameters = _parameters(spec, session.datasets[IMAGES], traits["data"])
        with SearchTracker(session.store, "search", search_id, parameters, tags) as tracker:
            log_moved_runs(session, tracker, event_log)
            tracker.log_artifacts(None, lambda folder: write_spec(spec, folder))
            mlflow_runs = MlflowRuns(tracker, runtime.storage, images.classes, spec.method, spec.rungs(), models=True)
            steps = make_plan(spec, slots=1).search_steps
            with view.trials(event_log.trials, spec.trials, steps, spec.objectives) as shown:
                study = StudyFile(home.study_file(options.name), options.name, spec)
                engine = Engine(SearchPolicy(spec), event_log, (mlflow_runs, study, TrialLog(spec.objectives), shown))
                study.catch_up(event_log.trials)
                _tidy(session, tracker, engine, home)
                mlflow_runs.catch_up(event_log.trials)
                try:
                    run_trials(engine, lambda trial: _trial_spec(spec, trial), session.datasets, runtime)
                finally:
                    mlflow_runs.mark_interrupted(event_log.trials.values())
            trials = tuple(event_log.trials.values())
            write_curves(trials, home.study(options.name))
            _draw(tracker, trials, spec, options.name)
            complete = engine.complete and confirm(spec, engine, session, tracker, home, view)
            with confirmation_event_log(session, home) as confirmations:
                confirmed = summaries(confirmations, spec.confirm.seeds)
            best = best_of(engine, spec, confirmed)
            finish(tracker, engine, spec, confirmed, best, complete, runtime.stop)
        return Outcome(
            options.name,
            trials,
            tuple(engine.front()),
            tuple(confirmed),
            best,
            runtime.slots.most,
            time.monotonic() - started,
            _tidy(session, tracker, engine, home),
            tuple(tracker.errors),
            "" if complete else runtime.stop.reason,
        )


def _tidy(session: Session, tracker: SearchTracker, engine: Engine, home: Home) -> DiskUse:
    with confirmation_event_log(session, home) as confirmations:
        wanted = needed_checkpoints(engine.state.trials.values(), tracker.ended)
        wanted |= needed_checkpoints(confirmations.trials.values(), tracker.ended, confirming=True)
    return tidy(session, wanted, home)


def warm_started(spec: SearchSpec, wanted: str, options: RunOptions, home: Home) -> SearchSpec:
    """The space with the best and the Pareto front of the search ``wanted`` among its start points, as far as they lie
    inside; the best is the first of them. A search that goes on keeps those with which it has begun.

    Raises:
        ResultError: there is no such search, or nothing of its front lies inside the space.
    """
    if options.resume and (noted := noted_start_points(home, options.name, spec)) is not None:
        return spec.model_copy(update={"start_from": noted})
    found = read_search(options.tracking_uri, wanted, own_searches(home, wanted))
    logger.info("--warm-start: %s, %s", found.name, found.run)
    points = [spec.point(trial.params) for trial in start_points(found.finished(), found.objectives)]
    inside = [point for point in points if point is not None and point not in spec.start_from]
    if not inside:
        raise ResultError(f"--warm-start {wanted}: no trial of its Pareto front lies inside this space")
    return spec.model_copy(update={"start_from": (*spec.start_from, *inside)})


def _trial_spec(spec: SearchSpec, trial: Trial) -> TrialSpec:
    return TrialSpec(spec.trial_config(trial.number, trial.params), IMAGES)


def _draw(tracker: SearchTracker, trials: Sequence[Trial], spec: SearchSpec, name: str) -> None:
    """The search's curves, pictures and page; drawn by the writer, while the confirmations train."""
    tracker.log_artifacts(None, lambda folder: write_curves(trials, folder))
    tracker.log_artifacts(None, lambda folder: write_pictures(trials, spec, folder))
    tracker.log_artifacts(None, lambda folder: write_page(trials, spec, name, folder))


def best_of(engine: Engine, spec: SearchSpec, confirmed: Sequence[Confirmed]) -> Trial | None:
    """The trial that ``eig-tune best`` names; None where none has finished."""
    finished = judged(engine.finished(), confirmed)
    return choose(finished, spec.objectives).trial if finished else None


def finish(
    tracker: SearchTracker,
    engine: Engine,
    spec: SearchSpec,
    confirmed: Sequence[Confirmed],
    best: Trial | None,
    complete: bool,
    stop: Stop,
) -> None:
    """What was confirmed, which trials are on the front, which is the best, and the note; then the writer's end."""
    trials = tuple(engine.state.trials.values())
    for reached in confirmed:
        trial = engine.state.trials[reached.trial]
        key, at = str(trial.number), trial.ended_at or trial.at
        metrics = reached.as_metrics() if reached.complete else {}
        step, tags = trial.last.step if trial.last else 0, {CONFIRMATION_TAG: str(reached)}
        tracker.replace_metrics(key, step, metrics, at, tags)
    front = {trial.number for trial in engine.front()}
    for trial in engine.finished():
        told = {"front": trial.number in front, "best": trial is best}
        tracker.set_tags(str(trial.number), {tag: str(holds).lower() for tag, holds in told.items()})
    tracker.describe(describe_search(spec, trials, confirmed, pictures(trials, spec), tracker))
    on_front = {"front": ",".join(map(str, sorted(front)))}
    tracker.close("FINISHED" if complete else "KILLED", on_front, lambda: stop.patience)


def _parameters(spec: SearchSpec, data: TrialData, fingerprint: str) -> dict[str, Any]:
    return {
        "dataset": spec.dataset.name,
        "data_sha256": fingerprint,
        "training_images": len(data.images.training),
        "method": spec.method,
        "trials": spec.trials,
        "steps": spec.train.steps,
        "rungs": spec.rungs(),
        "objectives": dict(spec.objectives),
        "classifier_accuracy": "none" if data.classifier is None else f"{data.classifier.accuracy:.4f}",
        **{f"search.{name}": str(distribution) for name, distribution in spec.search.items()},
    }
