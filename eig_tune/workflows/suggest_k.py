"""Suggesting the number K of categories: a few seeds of every K, as trials of one experiment."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from eig_tune.cluster.tuner import TrialSpec
from eig_tune.config.space import SearchSpec
from eig_tune.config.unused import find_unused_in_run
from eig_tune.data import ImageData
from eig_tune.data.arrays import ArrayImages
from eig_tune.errors import ConfigError, Problem
from eig_tune.evaluation.base import Direction
from eig_tune.evaluation.registry import direction_of
from eig_tune.home import Home
from eig_tune.hpo.policies import FixedRuns
from eig_tune.hpo.selection import choose
from eig_tune.hpo.trial import Trial
from eig_tune.reports.description import describe_suggestion
from eig_tune.reports.kept_evaluations import KeptEvaluations
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.reports.outcomes import SuggestionOutcome
from eig_tune.reports.provenance import provenance
from eig_tune.reports.suggestion import SHOWN, Suggestion, suggest, write_suggestion
from eig_tune.tracking import read_search
from eig_tune.training import TrainConfig
from eig_tune.training.config import ParamValue
from eig_tune.workflows.compare import params_of
from eig_tune.workflows.fit import check_fit
from eig_tune.workflows.identity import as_begun, noted_header, own_searches
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.parts import Part
from eig_tune.workflows.prepare import prepare_images, warn_of_unused
from eig_tune.workflows.session import IMAGES, Session, SessionHeader, open_session
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)

DEFAULT_CATEGORIES = (2, 3, 5, 8, 10, 14, 20)
FEWEST_SEEDS = 3  # of two, the mean over pairs is one number without an error
_MOST_CATEGORIES = 1000
_RUN = ("categories", "seed")


@dataclass(frozen=True)
class SuggestionPlan:
    """What is tried.

    Attributes:
        categories: the numbers K, from small to large.
        seeds: runs of each.
        params: of the best trial of an earlier search, which override the space's.
    """

    categories: tuple[int, ...]
    seeds: int
    params: Mapping[str, ParamValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seeds < FEWEST_SEEDS:
            what = f"got {self.seeds}; give {FEWEST_SEEDS} or more, so that the agreement has an error"
            raise ConfigError("eig-tune suggest-k", [Problem("--seeds", what)])

    def runs(self) -> list[dict[str, ParamValue]]:
        """One per seed and K; all K of the first seed come first."""
        return [{"categories": k, "seed": seed} for seed in range(self.seeds) for k in self.categories]

    def config(self, spec: SearchSpec, run: Mapping[str, Any]) -> TrainConfig:
        """The training of a run: the space's first ``start_from`` point, then ``params``, K and seed."""
        return spec.fixed_config(spec.method, int(run["seed"]), {**self.params, "categories": run["categories"]})


def parse_categories(text: str) -> tuple[int, ...]:
    """``2,3,5``, from small to large.

    Raises:
        ConfigError: these are not two or more numbers of categories.
    """
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if len(numbers) < 2 or numbers[0] < 2 or numbers[-1] > _MOST_CATEGORIES:
        what = f"got {text!r}; write two or more numbers from 2 to {_MOST_CATEGORIES}, such as 2,3,5,8,10"
        raise ConfigError("eig-tune suggest-k", [Problem("--categories", what)])
    return tuple(numbers)


def best_params(search: str, options: RunOptions, home: Home) -> Mapping[str, ParamValue]:
    """The params of a search's best trial, without its number of categories. What goes on keeps those that it has
    begun with.

    Raises:
        ResultError: there is no such search, or none of its trials has finished.
        ConfigError: it has searched what this version cannot set.
    """
    if options.resume and (noted := noted_header(home, options.name).get("params")) is not None:
        return dict(noted)
    found = read_search(options.tracking_uri, search, own_searches(home, search))
    chosen = choose(found.finished(), found.objectives, found.constraints)
    params = {name: value for name, value in params_of(chosen, search).items() if name not in _RUN}
    logger.info("--best-of: hyperparameters of trial %d of %s, %s", chosen.number, found.name, found.run)
    return params


def run_suggestion(
    spec: SearchSpec,
    plan: SuggestionPlan,
    options: RunOptions,
    home: Home,
    view: View,
    arrays: ArrayImages | None = None,
) -> SuggestionOutcome:
    """Run every seed of every K that has not run yet, then write table and curve.

    Args:
        spec: what all runs have in common; what it searches is not varied.
        plan: which K, and how many seeds of each.
        options: where and with what they run.
        home: where everything lies.
        view: shows progress.
        arrays: the images of the data set ``arrays``.

    Raises:
        EigTuneError: it cannot begin; nothing half-made is left behind.
        StorageError: it cannot go on, because the disk is full or the storage gone.
    """
    spec = as_begun(spec, home, options.name) if options.resume else spec
    reported = _reported()
    images = _images(spec, plan, home, view, arrays)
    traits = _traits(spec, plan, images)
    header = SessionHeader("suggestion", traits, lambda _: _params(plan), provenance(), reported, _RUN)
    with open_session(header, spec, options, home, {IMAGES: images}, view) as session:
        runs, storage = plan.runs(), session.runtime.storage
        known = [trial.params for trial in session.event_log.trials.values()]
        kept = KeptEvaluations(home.study(options.name) / "evaluations", storage)

        def budget(run: Mapping[str, Any]) -> int:
            return plan.config(spec, run).train.steps

        policy = FixedRuns(runs, budget, reported, known)
        part = Part(
            policy,
            session.event_log,
            lambda trial: TrialSpec(plan.config(spec, trial.params), IMAGES),
            MlflowRuns(session.tracker, storage, images.classes, spec.method, objectives=reported),
            policy.num_trials,
            sum(map(budget, runs)),
            (kept,),
        )
        (engine,) = session.run([part])
        trials = tuple(session.event_log.trials.values())
        suggestion = suggest(trials, plan.categories, kept.folder)
        folder = _write_results(session, suggestion, trials)
        return SuggestionOutcome(**vars(session.end(engine, folder)), suggestion=suggestion)


def _reported() -> dict[str, Direction]:
    """What the live table shows, and every report must have."""
    return {name: direction_of(name) for name in SHOWN}


def _write_results(session: Session, suggestion: Suggestion, trials: Sequence[Trial]) -> Path:
    """Table and curve, in the home and in MLflow, where K is the step of the metrics; the folder in the home."""
    folder, tracker, write = session.home.study(session.name), session.tracker, partial(write_suggestion, suggestion)
    write(folder)
    tracker.log_artifacts(None, write)
    at = max((trial.ended_at or trial.at for trial in trials), default=0.0)
    for row in suggestion.rows:
        measured = {"agreement": row.agreement, "agreement_error": row.error, "recommended": row.recommended}
        known = {name: value for name, value in {**measured, **row.means}.items() if not math.isnan(value)}
        tracker.log_metrics(None, row.categories, known, at)
    tracker.describe(lambda: describe_suggestion(suggestion, tracker.run_page()))
    return folder


def _images(spec: SearchSpec, plan: SuggestionPlan, home: Home, view: View, arrays: ArrayImages | None) -> ImageData:
    """The images; labels are not asked for, whatever the space's objectives are."""
    configs = [plan.config(spec, run) for run in plan.runs() if run["seed"] == 0]
    warn_of_unused(find_unused_in_run(spec, configs[0], ()))
    label_free = spec.model_copy(update={"objectives": _reported()})
    images = prepare_images(label_free.of_run(configs[-1]), home, view, arrays)
    for config in configs:
        check_fit(label_free.of_run(config), images)
    return images


def _traits(spec: SearchSpec, plan: SuggestionPlan, images: ImageData) -> dict[str, Any]:
    """More numbers of categories and more seeds make it a larger one, not another one."""
    kept = {"dataset", "method", "model", "train", "augment", "start_from", "compare"}
    return {
        "spec": spec.model_dump(mode="json", include=kept),
        "params": dict(plan.params),
        "data": images.fingerprint(),
    }


def _params(plan: SuggestionPlan) -> dict[str, Any]:
    return {"categories": ",".join(map(str, plan.categories)), "seeds": plan.seeds, **plan.params}
