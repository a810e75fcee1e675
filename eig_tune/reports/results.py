"""What a search has come to, written into MLflow: on the runs of its trials, and on its own run."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from eig_tune.config.space import SearchSpec
from eig_tune.evaluation.metrics import METRICS
from eig_tune.hpo.candidates import CONFIRMED, CONFIRMED_DEVIATION, Candidate
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.objectives import missed
from eig_tune.hpo.selection import reached
from eig_tune.hpo.trial import ENDED, Trial
from eig_tune.reports.animation import ANIMATION
from eig_tune.reports.categories import CATEGORIES_JSON, CATEGORIES_PICTURE, Category, read_categories
from eig_tune.reports.description import describe_search
from eig_tune.reports.page_writer import PageWriter
from eig_tune.reports.phrases import values_in_words
from eig_tune.reports.plots import pictures
from eig_tune.reports.run_texts import SAMPLES_PICTURE, confirmed_name, result_name
from eig_tune.tracking import CONFIRMATION_TAG, SearchTracker


def write_results(
    tracker: SearchTracker,
    engine: Engine,
    spec: SearchSpec,
    finished: Sequence[Candidate],
    best: Trial | None,
    *,
    was_constrained: bool = False,
    page: PageWriter | None = None,
) -> tuple[Trial, ...]:
    """Write what was confirmed, which trials are on the front, which is the best, and the search's metrics, name and
    description.

    Args:
        tracker: writes.
        engine: of the search.
        spec: its space.
        finished: its finished trials, with what their parameters have reached on other seeds.
        best: the trial that ``eig-tune best`` names; None where none has finished.
        was_constrained: an earlier process has searched with constraints, which may be gone.
        page: writes ``search.html``; none is written where it is None.

    Returns:
        The front.
    """
    for candidate in finished:
        if candidate.confirmation is not None or candidate.second:
            _write_confirmed(tracker, candidate, spec)
    front = tuple(engine.front())
    feasible = {each.number for each in finished if not missed(reached(each), spec.constraints)}
    constrained = bool(spec.constraints) or was_constrained
    for trial in engine.finished():
        tags = _standing(trial in front, trial is best, trial.number in feasible if constrained else None)
        if not tracker.is_new or tags != standing_at_end(spec, trial):
            tracker.set_tags(str(trial.number), tags)
    every = tuple(engine.state.trials.values())
    chosen = next((candidate for candidate in finished if candidate.trial is best), None)
    model = None if chosen is None else chosen.model(spec.constraints)
    if chosen is not None:
        _write_best(tracker, chosen, spec)
    tracker.replace_metrics(None, *_newest(every), metrics_of_search(every, chosen), {})
    if model is not None:
        tracker.log_artifacts(None, partial(tracker.fetch, model, {CATEGORIES_PICTURE, SAMPLES_PICTURE}))
    if page is not None:
        page.write(every, finished, model)
    drawn, own, trials_page = tuple(pictures(every, spec)), tracker.run_page(), tracker.table_page

    def describe() -> str:
        shown = () if model is None else (SAMPLES_PICTURE, *([ANIMATION] if page is not None and page.animated else []))
        return describe_search(spec, every, finished, drawn, own, _categories(tracker, model), shown, trials_page)

    tracker.describe(describe)
    return front


def standing_at_end(spec: SearchSpec, trial: Trial) -> dict[str, str]:
    """The tags of a trial that has just finished; for most they stay so, which saves a request for each."""
    metrics = trial.last.metrics if trial.last else {}
    return _standing(False, False, not missed(metrics, spec.constraints) if spec.constraints else None)


def _standing(front: bool, best: bool, feasible: bool | None) -> dict[str, str]:
    """Tags of a finished trial: where it stands among the others, and whether it meets the constraints, if any."""
    tags = {"front": front, "best": best} | ({} if feasible is None else {"feasible": feasible})
    return {name: str(holds).lower() for name, holds in tags.items()}


def metrics_of_search(trials: Sequence[Trial], best: Candidate | None) -> dict[str, float]:
    """The metrics of a search's own run: what its best trial has reached, found and confirmed, and how many trials have
    ended in which way."""
    ended = Counter(trial.status for trial in trials)
    counts = {f"trials_{status}": float(ended[status]) for status in sorted(ENDED)}
    if best is None:
        return counts
    added = (CONFIRMED, CONFIRMED_DEVIATION)
    confirmed = {name: value for name, value in best.as_metrics().items() if name.startswith(added)}
    of_metrics = {
        name: value
        for name, value in {**best.found, **confirmed}.items()
        if name.removeprefix(CONFIRMED_DEVIATION).removeprefix(CONFIRMED) in METRICS
    }
    return {**of_metrics, **counts}


def _newest(trials: Sequence[Trial]) -> tuple[int, float]:
    """All steps that were trained, and when the newest of them was reported."""
    steps = sum(trial.last.step for trial in trials if trial.last)
    return steps, max((trial.last.at if trial.last else trial.at for trial in trials), default=0.0)


def _write_confirmed(tracker: SearchTracker, candidate: Candidate, spec: SearchSpec) -> None:
    """What a trial's parameters have reached on other seeds, on its run and in its name."""
    trial, confirmation, key = candidate.trial, candidate.confirmation, str(candidate.number)
    step, at = trial.last.step if trial.last else 0, trial.ended_at or trial.at
    tags = {} if confirmation is None else {CONFIRMATION_TAG: str(confirmation)}
    tracker.replace_metrics(key, step, at, candidate.as_metrics(), tags)
    name = confirmed_name(candidate, spec.objectives) if candidate.confirmed else result_name(trial, spec.objectives)
    tracker.rename_run(key, name)


def _write_best(tracker: SearchTracker, best: Candidate, spec: SearchSpec) -> None:
    values = values_in_words(spec.objectives, reached(best), best.confirmed_deviations)
    tracker.rename_run(None, f"{values} · {tracker.name}")
    tracker.set_tags(None, {"best_trial": str(best.number)})


def _categories(tracker: SearchTracker, model: str | None) -> list[Category]:
    """Those of the model of a run, by its key, as MLflow has them."""
    with TemporaryDirectory() as folder:
        if model is not None:
            tracker.fetch(model, {CATEGORIES_JSON}, Path(folder))
        return read_categories(Path(folder))
