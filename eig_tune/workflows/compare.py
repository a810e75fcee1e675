"""The paper's comparison: every method on every imbalance with every seed, as trials of one experiment."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eig_tune.cluster.moved_checkpoints import find_checkpoints
from eig_tune.cluster.storage import Storage
from eig_tune.cluster.tuner import TrialSpec, run_trials
from eig_tune.config.checks import check_params
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData, ImbalanceSplit
from eig_tune.errors import CheckpointError, ConfigError, Problem
from eig_tune.evaluation.record import EVALUATION_FILE, SAMPLES_FILE
from eig_tune.evaluation.registry import compared_metrics
from eig_tune.home import Home
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.policies import FixedRuns
from eig_tune.hpo.selection import choose
from eig_tune.hpo.trial import Trial
from eig_tune.models import METHODS
from eig_tune.reports.comparison import rows_of
from eig_tune.reports.comparison_report import write_report
from eig_tune.reports.description import describe_comparison
from eig_tune.reports.mlflow_runs import MlflowRuns, needed_checkpoints
from eig_tune.schema import suggestion
from eig_tune.tracking import SearchTracker, TrackedTrial, read_search
from eig_tune.training import TrainConfig
from eig_tune.training.config import Value
from eig_tune.workflows.identity import begin_or_check, find_search, noted_header, own_searches
from eig_tune.workflows.prepare import check_fit, prepare_images
from eig_tune.workflows.session import (
    DiskUse,
    RunOptions,
    log_moved_runs,
    provenance,
    set_up,
    tidy,
    write_spec,
)
from eig_tune.workflows.trial_log import TrialLog
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)

BALANCED = "none"
_CELL = ("method", "split", "seed")
_BASELINE = "uniform-infogan"
Winners = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        winners: values by method that a search has found; they override those of the space.
    """

    methods: tuple[str, ...]
    splits: tuple[int, ...]
    seeds: int
    winners: Winners

    def cells(self) -> list[dict[str, Value]]:
        """One per method, split and seed; then InfoGAN on balanced images, for the picture."""
        cells: list[dict[str, Value]] = [
            {"method": method, "split": split, "seed": seed}
            for seed in range(self.seeds)
            for split in self.splits
            for method in self.methods
        ]
        return [*cells, {"method": _BASELINE, "split": BALANCED, "seed": 0}]


@dataclass(frozen=True)
class Comparison:
    """What a comparison has come to; ``stopped`` says why it has ended before all cells had, if it has."""

    name: str
    trials: tuple[Trial, ...]
    folder: Path
    complete: bool
    disk: DiskUse
    tracking_errors: tuple[str, ...]
    stopped: str = ""


class KeptEvaluations(Observer):
    """An observer of the engine that keeps what the pictures show of a finished cell, whose checkpoint goes.

    Args:
        folder: where; one folder for each cell in it, named by the trial's number.
        storage: where checkpoints lie.
    """

    def __init__(self, folder: Path, storage: Storage) -> None:
        self.folder = folder
        self._storage = storage

    def catch_up(self, trials: Mapping[int, Trial]) -> None:
        """Keep what an earlier process has not kept before it died."""
        for trial in trials.values():
            if trial.status == "finished" and not (self.folder / str(trial.number)).exists():
                self._keep(trial)

    def trial_ended(self, trial: Trial) -> None:
        if trial.status == "finished":
            self._keep(trial)

    def _keep(self, trial: Trial) -> None:
        whole, unfinished = self.folder / str(trial.number), self.folder / f".{trial.number}"
        with suppress(CheckpointError, FileNotFoundError):  # a picture less must not end a comparison
            unfinished.mkdir(parents=True, exist_ok=True)
            with self._storage.local(str(trial.checkpoint)) as checkpoint:
                for file in (EVALUATION_FILE, SAMPLES_FILE):
                    (unfinished / file).write_bytes((checkpoint / file).read_bytes())
            unfinished.rename(whole)


def parse_methods(text: str) -> tuple[str, ...]:
    """``all``, or names separated by commas.

    Raises:
        ConfigError: a name is unknown.
    """
    names = tuple(METHODS) if text == "all" else tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise ConfigError(
            "eig-tune compare", [Problem("--methods", f"no such method{suggestion(name, METHODS)}") for name in unknown]
        )
    return tuple(dict.fromkeys(names))


def parse_splits(text: str) -> tuple[int, ...]:
    """``0-4``, ``0,2,5`` or ``3``.

    Raises:
        ConfigError: it is none of these.
    """
    try:
        ranges = [[int(end) for end in part.split("-")] for part in text.split(",")]
        splits = tuple(split for ends in ranges for split in range(ends[0], ends[-1] + 1))
    except ValueError:
        splits = ()
    if not splits:
        raise ConfigError("eig-tune compare", [Problem("--splits", f"got {text!r}; write 0-4, or 0,2,5, or 3")])
    return tuple(dict.fromkeys(splits))


def winners_of(wanted: str, methods: Sequence[str], options: RunOptions, home: Home) -> Winners:
    """The values that a search has found: of each method if it searched over methods, else the same for all. A
    comparison that goes on keeps those with which it has begun.

    Says of which trial each method has its values.

    Raises:
        ResultError: there is no such search, or none of its trials has finished.
        ConfigError: it has searched what this version cannot set.
    """
    noted: Winners = noted_header(home, options.name).get("winners", {}) if options.resume else {}
    if set(methods) <= set(noted):
        return noted
    found = read_search(options.tracking_uri, wanted, own_searches(home, wanted))
    logger.info("--best-of: %s, %s", found.name, found.run)
    finished = found.finished()
    winners, sources = {}, []
    searched = any("method" in trial.params for trial in finished)
    for method in methods:
        of_method = [trial for trial in finished if trial.params.get("method") == method]
        chosen = choose(of_method or finished, found.objectives)
        winners[method] = values_of(chosen, wanted)
        foreign = " (of another method, since none of its own has finished)" if searched and not of_method else ""
        sources.append(f"{method} from trial {chosen.number}{foreign}")
    logger.info("values of %s", ", ".join(sources))
    return winners


def values_of(winner: TrackedTrial, search: str) -> dict[str, Value]:
    """What a trial of ``search`` was given, as runs have it now.

    Raises:
        ConfigError: it was given what this version cannot set.
    """
    values, problems = check_params({name: value for name, value in winner.params.items() if name not in _CELL}, "")
    if problems:
        raise ConfigError(f"--best-of {search}: trial {winner.number}", problems)
    return values


def run_comparison(spec: SearchSpec, plan: Plan, options: RunOptions, home: Home, view: View) -> Comparison:
    """Run every cell that has not run yet, then write table and pictures.

    Raises:
        EigTuneError: it cannot begin; nothing half-made is left behind.
    """
    runs = plan.cells()
    images = _images(spec, plan, home, view)
    traits = _traits(spec, plan, images)
    search_id = find_search(home, options, traits)
    session = set_up(search_id, spec, options, images, home, view)
    runtime = session.runtime
    with (
        runtime.stop.gently(),
        EventLog(home.event_log(options.name), runtime.storage.uri) as event_log,
    ):
        begin_or_check(event_log, search_id, traits, repr(options.name), home)
        find_checkpoints(event_log, runtime.storage)
        folder = home.study(options.name)
        with SearchTracker(session.store, "comparison", search_id, _parameters(plan), provenance()) as tracker:
            log_moved_runs(session, tracker, event_log)
            tracker.log_artifacts(None, partial(write_spec, spec))
            mlflow_runs = MlflowRuns(tracker, runtime.storage, images[BALANCED].classes, spec.method)
            seen = KeptEvaluations(folder / "evaluations", runtime.storage)
            known = [trial.params for trial in event_log.trials.values()]
            policy = FixedRuns(runs, partial(_budget, spec, plan), compared_metrics(), known)
            steps = sum(_budget(spec, plan, cell) for cell in runs)
            compared = compared_metrics()
            with view.trials(event_log.trials, policy.num_trials, steps, compared) as shown:
                engine = Engine(policy, event_log, (seen, mlflow_runs, TrialLog(compared), shown))
                seen.catch_up(event_log.trials)
                tidy(session, needed_checkpoints(event_log.trials.values(), tracker.ended), home)
                mlflow_runs.catch_up(event_log.trials)
                try:
                    run_trials(engine, lambda trial: _trial_spec(spec, plan, trial), session.datasets, runtime)
                finally:
                    mlflow_runs.mark_interrupted(event_log.trials.values())
            trials = tuple(event_log.trials.values())
            draw = partial(write_report, trials, plan.methods, images[BALANCED].classes, seen.folder)
            draw(folder)
            tracker.log_artifacts(None, draw)
            tracker.describe(describe_comparison(rows_of(trials, plan.methods), tracker))
            tracker.close("FINISHED" if engine.complete else "KILLED", {}, lambda: runtime.stop.patience)
        disk = tidy(session, needed_checkpoints(trials, tracker.ended), home)
        stopped = "" if engine.complete else runtime.stop.reason
        return Comparison(options.name, trials, folder, engine.complete, disk, tuple(tracker.errors), stopped)


def _config(spec: SearchSpec, plan: Plan, cell: Mapping[str, Any]) -> TrainConfig:
    method = str(cell["method"])
    return spec.fixed_config(method, int(cell["seed"]), plan.winners.get(method, {}))


def _budget(spec: SearchSpec, plan: Plan, cell: Mapping[str, Any]) -> int:
    return _config(spec, plan, cell).train.steps


def _trial_spec(spec: SearchSpec, plan: Plan, trial: Trial) -> TrialSpec:
    return TrialSpec(_config(spec, plan, trial.params), str(trial.params["split"]))


def _images(spec: SearchSpec, plan: Plan, home: Home, view: View) -> dict[str, ImageData]:
    """The images with each imbalance, by the name that cells have for it; read once."""
    balanced = spec.dataset.model_copy(update={"imbalance": BALANCED})
    # The most that any method asks of its images: labels, and the true class shares.
    demanding = spec.of_run(spec.fixed_config("ground-truth-infogan", 0, {}))
    images = prepare_images(
        demanding.model_copy(update={"dataset": balanced, "objectives": compared_metrics()}), home, view
    )
    imbalanced = {str(split): images.with_imbalance(ImbalanceSplit(split=split)) for split in plan.splits}
    for pool in imbalanced.values():
        check_fit(demanding, pool)
    return {BALANCED: images, **imbalanced}


def _traits(spec: SearchSpec, plan: Plan, images: Mapping[str, ImageData]) -> dict[str, Any]:
    """More methods, splits and seeds make it a larger comparison, not another one."""
    kept = {"dataset", "model", "train", "augment", "start_from", "compare"}
    return {
        "spec": spec.model_dump(mode="json", include=kept),
        "winners": {method: dict(values) for method, values in plan.winners.items()},
        "data": images[BALANCED].fingerprint(),
    }


def _parameters(plan: Plan) -> dict[str, Any]:
    return {"methods": ",".join(plan.methods), "splits": ",".join(map(str, plan.splits)), "seeds": plan.seeds}
