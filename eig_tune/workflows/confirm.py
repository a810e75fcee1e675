"""Confirming a search's best: trained again from fresh seeds, evaluated by a classifier that the search never saw.

The best of many noisy trials is partly the luckiest. What a trial reaches again on other seeds is what a user of
its parameters may expect; the difference is the selection bias of the search (the winner's curse).
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from eig_tune.cluster.tuner import TrialSpec
from eig_tune.config.space import SearchSpec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.objectives import mean_and_deviation
from eig_tune.hpo.policies import FixedRuns
from eig_tune.hpo.selection import Confirmed, candidates_of, fresh_seeds, to_confirm
from eig_tune.hpo.trial import Trial
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.workflows.prepare import prepare_confirming_classifier
from eig_tune.workflows.session import IMAGES, Session

logger = logging.getLogger(__name__)

_ASKED = "asked"  # among the event log's notes: the seeds of each trial's newest confirmation that came to its end


def confirm(session: Session, search: Engine) -> bool:
    """Train every candidate on every fresh seed that has not been yet; nothing when the space asks for none.

    Args:
        session: an open search.
        search: its engine; every trial has ended.

    Returns:
        Whether all that shall be trained has been.
    """
    spec, event_log, storage = session.spec, confirmation_log(session), session.runtime.storage
    finished = candidates_of(search.finished())
    chosen = [c.number for c in to_confirm(finished, spec.objectives, spec.confirm.top, spec.constraints)]
    runs = [{"trial": number, "seed": seed} for seed in range(spec.confirm.seeds) for number in chosen]
    if runs and not session.runtime.stop.asked:
        logger.info("confirming %d of the best on %s each", len(chosen), fresh_seeds(spec.confirm.seeds))
    known = [trial.params for trial in event_log.trials.values()]
    policy = FixedRuns(runs, lambda params: spec.train.steps, spec.objectives, known, spec.constraints)
    data = session.datasets[IMAGES]
    engine = session.run(
        policy,
        event_log,
        lambda trial: _trial_spec(spec, search, trial.params),
        policy.num_trials * spec.train.steps,
        MlflowRuns(session.tracker, storage, data.images.classes, spec.method, confirming=True),
        datasets=lambda: {
            IMAGES: prepare_confirming_classifier(spec, data, session.home, session.view, session.runtime.stop.check)
        },
    )
    if engine.complete:
        note_complete(event_log, chosen, spec.confirm.seeds)
    return engine.complete


def confirmation_log(session: Session) -> EventLog:
    """The event log of a search's confirmations."""
    assert session.confirmations is not None, "a search, not a comparison"
    return session.confirmations


def confirmations_of(session: Session) -> list[Confirmed]:
    """What each confirmed trial of an open search reaches on fresh seeds."""
    return summaries(confirmation_log(session), session.spec.confirm.seeds)


def note_complete(event_log: EventLog, chosen: Sequence[int], seeds: int) -> None:
    """Note that every run of a confirmation has ended, so that one that is extended later and then interrupted leaves
    its trials confirmed."""
    before = event_log.notes.get(_ASKED, {})
    asked = {**before, **{str(number): seeds for number in chosen}}
    if asked != before:
        event_log.note({_ASKED: asked})


def _trial_spec(spec: SearchSpec, search: Engine, params: Mapping[str, Any]) -> TrialSpec:
    confirmed = search.state.trials[params["trial"]]
    fresh = hashlib.sha256(f"confirm/{spec.seed}/{confirmed.number}/{params['seed']}".encode()).digest()
    seed = int.from_bytes(fresh[:4], "big") % 2**31
    return TrialSpec(spec.trial_config(confirmed.number, confirmed.params).with_params({"seed": seed}), IMAGES)


def summaries(event_log: EventLog, seeds: int) -> list[Confirmed]:
    """Every trial of a confirmation's event log, with mean and standard deviation over its finished runs.

    Args:
        seeds: what is asked of a trial of which no confirmation has come to its end yet.
    """
    runs = defaultdict[int, list[Trial]](list)
    for run in event_log.trials.values():
        runs[run.params["trial"]].append(run)
    asked = event_log.notes.get(_ASKED, {})
    return [_summary(number, of, asked.get(str(number), seeds)) for number, of in runs.items()]


def _summary(number: int, runs: Sequence[Trial], asked: int) -> Confirmed:
    reached = [run.last.metrics for run in runs if run.status == "finished" and run.last is not None]
    in_all = [name for name in (reached[0] if reached else {}) if all(name in metrics for metrics in reached)]
    spread = {name: mean_and_deviation([metrics[name] for metrics in reached]) for name in in_all}
    failed = sum(run.ended for run in runs) - len(reached)
    means = {name: mean for name, (mean, _) in spread.items()}
    deviations = {name: deviation for name, (_, deviation) in spread.items()}
    return Confirmed(number, len(reached), asked, failed, means, deviations)
