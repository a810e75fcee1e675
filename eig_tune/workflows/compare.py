"""The paper's comparison: every method on every imbalance with every seed, as trials of one experiment."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eig_tune.cluster.tuner import TrialSpec
from eig_tune.config.checks import check_params
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData, ImbalanceSplit
from eig_tune.data.arrays import ArrayImages
from eig_tune.errors import ConfigError, DataError, Problem
from eig_tune.evaluation.registry import compared_metrics
from eig_tune.home import Home
from eig_tune.hpo.policies import FixedRuns
from eig_tune.hpo.selection import choose
from eig_tune.hpo.trial import Trial
from eig_tune.models import METHODS
from eig_tune.reports.comparison import rows_of
from eig_tune.reports.comparison_report import write_report
from eig_tune.reports.description import describe_comparison
from eig_tune.reports.kept_evaluations import KeptEvaluations
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.reports.outcomes import ComparisonOutcome
from eig_tune.reports.provenance import provenance
from eig_tune.schema import suggestion
from eig_tune.tracking import TrackedTrial, read_search
from eig_tune.training import TrainConfig
from eig_tune.training.config import ParamValue
from eig_tune.workflows.fit import check_fit
from eig_tune.workflows.identity import as_begun, noted_header, own_searches
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.parts import Part
from eig_tune.workflows.prepare import prepare_images
from eig_tune.workflows.session import Session, SessionHeader, open_session
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)

BALANCED = "none"
_CELL = ("method", "split", "seed")
_BASELINE = "uniform-infogan"
Winners = Mapping[str, Mapping[str, ParamValue]]


@dataclass(frozen=True)
class ComparisonPlan:
    """What is compared.

    Attributes:
        methods: names of methods.
        splits: seeds of imbalances.
        seeds: how many runs there are of every method on every imbalance.
        winners: by method, params that a search has found; they override those of the space.
    """

    methods: tuple[str, ...]
    splits: tuple[int, ...]
    seeds: int
    winners: Winners

    def cells(self) -> list[dict[str, ParamValue]]:
        """One per method, split and seed; then InfoGAN on balanced images, for the picture."""
        cells: list[dict[str, ParamValue]] = [
            {"method": method, "split": split, "seed": seed}
            for seed in range(self.seeds)
            for split in self.splits
            for method in self.methods
        ]
        return [*cells, {"method": _BASELINE, "split": BALANCED, "seed": 0}]


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


def winners_of(search: str, methods: Sequence[str], options: RunOptions, home: Home) -> Winners:
    """The params of a search's best trials: for each method its own if the search was over methods, else the same for
    all. A comparison that goes on keeps those with which it has begun.

    Logs from which trial each method has its params.

    Raises:
        ResultError: there is no such search, or none of its trials has finished.
        ConfigError: it has searched what this version cannot set.
    """
    noted: Winners = noted_header(home, options.name).get("winners", {}) if options.resume else {}
    if set(methods) <= set(noted):
        return noted
    found = read_search(options.tracking_uri, search, own_searches(home, search))
    logger.info("--best-of: %s, %s", found.name, found.run)
    finished = found.finished()
    winners, sources = {}, []
    searched = any("method" in trial.params for trial in finished)
    for method in methods:
        of_method = [trial for trial in finished if trial.params.get("method") == method]
        chosen = choose(of_method or finished, found.objectives, found.constraints)
        winners[method] = params_of(chosen, search)
        foreign = " (of another method, since none of its own has finished)" if searched and not of_method else ""
        sources.append(f"{method} from trial {chosen.number}{foreign}")
    logger.info("hyperparameters of %s", ", ".join(sources))
    return winners


def params_of(winner: TrackedTrial, search: str) -> dict[str, ParamValue]:
    """The params of a trial of ``search``, typed as runs have them now, without those that make a cell.

    Raises:
        ConfigError: this version has no such param, or not such a value of it.
    """
    params, problems = check_params({name: value for name, value in winner.params.items() if name not in _CELL}, "")
    if problems:
        raise ConfigError(f"--best-of {search}: trial {winner.number}", problems)
    return params


def run_comparison(
    spec: SearchSpec,
    plan: ComparisonPlan,
    options: RunOptions,
    home: Home,
    view: View,
    arrays: ArrayImages | None = None,
) -> ComparisonOutcome:
    """Run every cell that has not run yet, then write table and pictures.

    Args:
        spec: what runs have in common, and what is set for one method alone.
        plan: which cells there are.
        options: where and with what they run.
        home: where everything lies.
        view: shows progress.
        arrays: the images of the data set ``arrays``.

    Raises:
        EigTuneError: it cannot begin; nothing half-made is left behind.
        StorageError: it cannot go on, because the disk is full or the storage gone.
    """
    spec = as_begun(spec, home, options.name) if options.resume else spec
    cells, compared = plan.cells(), compared_metrics()
    images = _images(spec, plan, home, view, arrays)
    traits = _traits(spec, plan, images)
    header = SessionHeader("comparison", traits, lambda _: _params(plan), provenance(), compared, _CELL)
    with open_session(header, spec, options, home, images, view) as session:
        budget = partial(_budget, spec, plan)
        known = [trial.params for trial in session.event_log.trials.values()]
        storage, classes = session.runtime.storage, images[BALANCED].classes
        kept = KeptEvaluations(home.study(options.name) / "evaluations", storage)
        policy = FixedRuns(cells, budget, compared, known)
        part = Part(
            policy,
            session.event_log,
            lambda trial: _trial_spec(spec, plan, trial),
            MlflowRuns(session.tracker, storage, classes, spec.method, objectives=compared),
            policy.num_trials,
            sum(map(budget, cells)),
            (kept,),
        )
        (engine,) = session.run([part])
        trials = tuple(session.event_log.trials.values())
        folder = _write_results(session, trials, plan.methods, classes, kept.folder)
        return ComparisonOutcome(**vars(session.end(engine, folder)))


def _write_results(
    session: Session, trials: Sequence[Trial], methods: Sequence[str], classes: Sequence[str], evaluations: Path
) -> Path:
    """Table and pictures, in the home and in MLflow; the folder in the home."""
    folder, draw = session.home.study(session.name), partial(write_report, trials, methods, classes, evaluations)
    draw(folder)
    session.tracker.log_artifacts(None, draw)
    session.tracker.describe(lambda: describe_comparison(rows_of(trials, methods), session.tracker.run_page()))
    return folder


def _config(spec: SearchSpec, plan: ComparisonPlan, cell: Mapping[str, Any]) -> TrainConfig:
    method = str(cell["method"])
    return spec.fixed_config(method, int(cell["seed"]), plan.winners.get(method, {}))


def _budget(spec: SearchSpec, plan: ComparisonPlan, cell: Mapping[str, Any]) -> int:
    return _config(spec, plan, cell).train.steps


def _trial_spec(spec: SearchSpec, plan: ComparisonPlan, trial: Trial) -> TrialSpec:
    return TrialSpec(_config(spec, plan, trial.params), str(trial.params["split"]))


def _images(
    spec: SearchSpec, plan: ComparisonPlan, home: Home, view: View, arrays: ArrayImages | None
) -> dict[str, ImageData]:
    """The images with each imbalance, by the name that cells have for it; read once."""
    balanced = spec.dataset.model_copy(update={"imbalance": BALANCED})
    # The most that any method asks of its images: labels, and the true class shares.
    demanding = spec.of_run(spec.fixed_config("ground-truth-infogan", 0, {}))
    undemanding = spec.of_run(spec.fixed_config(_BASELINE, 0, {}))
    images = prepare_images(undemanding.model_copy(update={"dataset": balanced}), home, view, arrays)
    if not images.labelled:
        needing = ", ".join(compared_metrics())
        raise DataError(f"a comparison is by {needing}, which need labels, and these images have none; give labels")
    check_fit(demanding, images)
    imbalanced = {str(split): images.with_imbalance(ImbalanceSplit(split=split)) for split in plan.splits}
    for each in imbalanced.values():
        check_fit(demanding, each)
    return {BALANCED: images, **imbalanced}


def _traits(spec: SearchSpec, plan: ComparisonPlan, images: Mapping[str, ImageData]) -> dict[str, Any]:
    """More methods, splits and seeds make it a larger comparison, not another one."""
    kept = {"dataset", "model", "train", "augment", "start_from", "compare"}
    return {
        "spec": spec.model_dump(mode="json", include=kept),
        "winners": {method: dict(params) for method, params in plan.winners.items()},
        "data": images[BALANCED].fingerprint(),
    }


def _params(plan: ComparisonPlan) -> dict[str, Any]:
    return {"methods": ",".join(plan.methods), "splits": ",".join(map(str, plan.splits)), "seeds": plan.seeds}
