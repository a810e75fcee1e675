"""A search: trials are proposed and promoted, the best are confirmed, and what came of it is written."""

import logging
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from eig_tune import strict_json
from eig_tune.cluster.tuner import TrialSpec
from eig_tune.config.constraints import written
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData
from eig_tune.data.arrays import ArrayImages
from eig_tune.errors import ResultError
from eig_tune.home import Home
from eig_tune.hpo.added import TrialRequests
from eig_tune.hpo.plan import Plan, make_plan
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.sampler import OptunaSampler, Sampler
from eig_tune.hpo.selection import choose, start_points
from eig_tune.models.networks import network_for
from eig_tune.reports.curves import write_curves
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.reports.optuna_study import StudyFile
from eig_tune.reports.outcomes import SearchOutcome
from eig_tune.reports.page_writer import PageWriter, data_in_words
from eig_tune.reports.plots import write_pictures
from eig_tune.reports.provenance import provenance
from eig_tune.reports.results import standing_at_end, write_results
from eig_tune.reports.so_far import SoFar
from eig_tune.tracking import (
    CLASSIFIER,
    CONSTRAINTS_TAG,
    OBJECTIVES_TAG,
    SEARCHED,
    read_search,
)
from eig_tune.training.loop import TrialData
from eig_tune.workflows.confirm import candidates, check_splits, confirmation
from eig_tune.workflows.going_on import go_on, has_objectives, why_not_carried_over
from eig_tune.workflows.identity import (
    NOT_TRAITS,
    as_begun,
    note_constraints,
    noted_header,
    noted_start_points,
    own_searches,
)
from eig_tune.workflows.notes import CONSTRAINTS_NOTE
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.parts import Part
from eig_tune.workflows.prepare import prepare_images, with_objectives
from eig_tune.workflows.session import IMAGES, Session, SessionHeader, open_session
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)


def run_search(
    spec: SearchSpec, options: RunOptions, home: Home, view: View, arrays: ArrayImages | None = None
) -> SearchOutcome:
    """Run a search to its end, or as far as it gets; what it has reached is never lost.

    Args:
        spec: what is searched.
        options: where and with what trials run.
        home: where everything lies.
        view: shows progress.
        arrays: the images of the data set ``arrays``.

    Raises:
        EigTuneError: it cannot begin; nothing half-made is left behind.
        StorageError: it cannot go on, because the disk is full or the storage gone.
    """
    started = time.monotonic()
    before = noted_header(home, options.name) if options.resume else {}
    spec = as_begun(spec, home, options.name) if before else spec
    images = prepare_images(spec, home, view, arrays, goes_on=has_objectives(before, spec))
    spec = with_objectives(spec, images)
    check_splits(spec, images)
    with open_session(_header(spec, images), spec, options, home, {IMAGES: images}, view) as opened:
        session = go_on(opened, spec, before)
        if note_constraints(session.event_log, spec.constraints):
            session.tracker.set_tags(None, _constraints_tag(spec))
        page = PageWriter(session.tracker, spec, data_in_words(images, spec.method))
        draw = cache(partial(_draw, session, page))  # at the end of the trials, or of the session
        policy, plan = _policy(session, OptunaSampler(spec)), make_plan(spec, slots=1)
        with confirmation(session, policy, plan.reaching[spec.train.steps]) as confirming:
            trials_ended = (draw, confirming.search_ended)
            engines = session.run([_trials(session, policy, plan, *trials_ended), *confirming.parts()])
        draw()
        engine, complete = engines[0], all(each.complete for each in engines)
        trials = tuple(session.event_log.trials.values())
        finished = candidates(session)
        best = choose(finished, spec.objectives, spec.constraints).trial if finished else None
        noted = CONSTRAINTS_NOTE in engine.state.notes  # of an earlier process, whose constraints may be gone
        front = write_results(session.tracker, engine, spec, finished, best, was_constrained=noted, page=page)
        disk = session.close(complete, {"front": ",".join(str(trial.number) for trial in front)})
        return SearchOutcome(
            name=options.name,
            spec=spec,
            trials=trials,
            front=front,
            finished=tuple(finished),
            best=best,
            disk=disk,
            slots=session.runtime.slots.most,
            wall_seconds=time.monotonic() - started,
            tracking_errors=tuple(session.tracker.errors),
            stopped="" if complete else session.runtime.stop.reason,
            link=session.tracker.link,
            run_id=session.tracker.parent_id,
        )


def _header(spec: SearchSpec, images: ImageData) -> SessionHeader:
    fingerprint = images.fingerprint()
    return SessionHeader(
        "search",
        # More trials or confirmations make it a longer search, not another one; for constraints see `note_constraints`.
        {"spec": spec.model_dump(mode="json", exclude=NOT_TRAITS), "data": fingerprint},
        lambda datasets: _params(spec, datasets[IMAGES], fingerprint),
        {**provenance(), OBJECTIVES_TAG: strict_json.dumps(spec.objectives), **_constraints_tag(spec)},
        dict(spec.objectives),
        tuple(spec.search),
        why_not_carried_over,
    )


def warm_started(spec: SearchSpec, earlier: str, options: RunOptions, home: Home) -> SearchSpec:
    """The space with the best trial and the Pareto front of an earlier search among its start points, as far as they
    lie inside the space, the best one first. A search that goes on keeps those with which it has begun.

    Raises:
        ResultError: there is no such search, or nothing of its front lies inside the space.
    """
    if options.resume and (noted := noted_start_points(home, options.name, spec)) is not None:
        return spec.model_copy(update={"start_from": noted})
    found = read_search(options.tracking_uri, earlier, own_searches(home, earlier))
    logger.info("--warm-start: %s, %s", found.name, found.run)
    points = [spec.point(trial.params) for trial in start_points(found.finished(), found.objectives, found.constraints)]
    inside = [point for point in points if point is not None and point not in spec.start_from]
    if not inside:
        raise ResultError(f"--warm-start {earlier}: no trial of its Pareto front lies inside this space")
    return spec.model_copy(update={"start_from": (*spec.start_from, *inside)})


def _policy(session: Session, sampler: Sampler) -> SearchPolicy:
    requests = TrialRequests(session.home.added_trials(session.name), session.spec.point)
    return SearchPolicy(session.spec, sampler, requests)


def _trials(session: Session, policy: SearchPolicy, plan: Plan, *on_complete: Callable[[], None]) -> Part:
    """The search's own trials."""
    spec, classes, storage = session.spec, session.datasets[IMAGES].images.classes, session.runtime.storage

    def ended() -> None:
        for call in on_complete:
            call()

    return Part(
        policy,
        session.event_log,
        lambda trial: TrialSpec(spec.trial_config(trial.number, trial.params), IMAGES),
        MlflowRuns(
            session.tracker,
            storage,
            classes,
            spec.method,
            spec.rungs(),
            objectives=spec.objectives,
            models=True,
            standing=partial(standing_at_end, spec),
            kept=session.kept_of,
        ),
        policy.num_trials,
        plan.search_steps,
        (
            StudyFile(session.home.study_file(session.name), session.name, spec),
            SoFar(session.tracker, storage, spec),
        ),
        ended,
    )


def _draw(session: Session, page: PageWriter) -> None:
    """The search's curves, pictures and page; drawn by the writer, while the confirmations train."""
    spec, tracker = session.spec, session.tracker
    trials = tuple(session.event_log.trials.values())
    write_curves(trials, session.home.study(session.name))
    tracker.log_artifacts(None, lambda folder: write_curves(trials, folder))
    tracker.log_artifacts(None, lambda folder: write_pictures(trials, spec, folder))
    page.write(trials, candidates(session))


def _constraints_tag(spec: SearchSpec) -> dict[str, str]:
    return {CONSTRAINTS_TAG: strict_json.dumps(written(spec.constraints))}


def _params(spec: SearchSpec, data: TrialData, fingerprint: str) -> dict[str, Any]:
    return {
        "dataset": spec.dataset.name,
        "data_sha256": fingerprint,
        "training_images": len(data.images.training),
        "method": spec.method,
        **(
            {}
            if "network" in spec.search
            else {"network": network_for(spec.model.network, data.images.image_size).name}
        ),
        "trials": spec.trials,
        "steps": spec.train.steps,
        "rungs": spec.rungs(),
        "objectives": dict(spec.objectives),
        **({} if data.classifier is None else {CLASSIFIER: f"{data.classifier.accuracy:.4f}"}),
        **{f"{SEARCHED}{name}": str(distribution) for name, distribution in spec.search.items()},
    }
