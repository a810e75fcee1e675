"""Confirming a search's best: trained again from fresh seeds, evaluated by a classifier that the search never saw.

The best of many noisy trials is partly the luckiest. What a trial reaches again on other seeds is what a user of
its parameters may expect; the difference is the selection bias of the search (the winner's curse).
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from eig_tune.cluster.moved_checkpoints import find_checkpoints
from eig_tune.cluster.tuner import TrialSpec, run_trials
from eig_tune.config.space import SearchSpec
from eig_tune.home import Home
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.objectives import mean_and_deviation
from eig_tune.hpo.policies import FixedRuns
from eig_tune.hpo.selection import Confirmed, fresh_seeds, judged, to_confirm
from eig_tune.hpo.trial import Trial
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.stopping import Interrupted, TimeIsOverError
from eig_tune.tracking import SearchTracker
from eig_tune.workflows.identity import begin_or_check
from eig_tune.workflows.prepare import prepare_confirming_classifier
from eig_tune.workflows.session import IMAGES, Session
from eig_tune.workflows.trial_log import TrialLog
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)

_ASKED = "asked"  # among the event log's notes: the seeds of each trial's newest confirmation that came to its end


@contextmanager
def confirmation_event_log(session: Session, home: Home) -> Iterator[EventLog]:
    """The event log of a search's confirmations, open.

    Raises:
        ResultError: the one that is there belongs to another search.
    """
    file = home.confirmation_event_log(session.store.name)
    with EventLog(file, session.runtime.storage.uri) as event_log:
        begin_or_check(event_log, session.search_id, {}, str(file), home)
        find_checkpoints(event_log, session.runtime.storage)
        yield event_log


def confirm(spec: SearchSpec, search: Engine, session: Session, tracker: SearchTracker, home: Home, view: View) -> bool:
    """Train every candidate on every fresh seed that has not been yet; nothing when the space asks for none.

    Returns:
        Whether all that shall be trained has been.
    """
    chosen = [c.number for c in to_confirm(judged(search.finished()), spec.objectives, spec.confirm.top)]
    runs = [{"trial": number, "seed": seed} for seed in range(spec.confirm.seeds) for number in chosen]
    with confirmation_event_log(session, home) as event_log:
        known = [trial.params for trial in event_log.trials.values()]
        policy = FixedRuns(runs, lambda values: spec.train.steps, spec.objectives, known)
        data = session.datasets[IMAGES]
        mlflow_runs = MlflowRuns(tracker, session.runtime.storage, data.images.classes, spec.method, confirming=True)
        if runs and not session.runtime.stop.asked:
            logger.info("confirming %d of the best on %s each", len(chosen), fresh_seeds(spec.confirm.seeds))
        steps = policy.num_trials * spec.train.steps
        with view.trials(event_log.trials, policy.num_trials, steps, spec.objectives) as shown:
            engine = Engine(policy, event_log, (mlflow_runs, TrialLog(spec.objectives), shown))
            mlflow_runs.catch_up(event_log.trials)
            if not engine.complete:
                try:
                    confirming = prepare_confirming_classifier(spec, data, home, view, session.runtime.stop.check)
                    datasets = {IMAGES: confirming}
                    run_trials(engine, lambda t: _trial_spec(spec, search, t.params), datasets, session.runtime)
                except (Interrupted, TimeIsOverError):
                    pass  # while the evaluation classifier was trained
                finally:
                    mlflow_runs.mark_interrupted(event_log.trials.values())
        if engine.complete:
            note_complete(event_log, chosen, spec.confirm.seeds)
        return engine.complete


def note_complete(event_log: EventLog, chosen: Sequence[int], seeds: int) -> None:
    """Note that every run of a confirmation has ended, so that one that is extended later and then interrupted leaves
    its trials confirmed."""
    before = event_log.notes.get(_ASKED, {})
    asked = {**before, **{str(number): seeds for number in chosen}}
    if asked != before:
        event_log.note({_ASKED: asked})


def _trial_spec(spec: SearchSpec, search: Engine, values: Mapping[str, Any]) -> TrialSpec:
    confirmed = search.state.trials[values["trial"]]
    fresh = hashlib.sha256(f"confirm/{spec.seed}/{confirmed.number}/{values['seed']}".encode()).digest()
    seed = int.from_bytes(fresh[:4], "big") % 2**31
    return TrialSpec(spec.trial_config(confirmed.number, confirmed.params).with_values({"seed": seed}), IMAGES)


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
    told_by_all = [name for name in (reached[0] if reached else {}) if all(name in metrics for metrics in reached)]
    spread = {name: mean_and_deviation([metrics[name] for metrics in reached]) for name in told_by_all}
    failed = sum(run.ended for run in runs) - len(reached)
    means = {name: mean for name, (mean, _) in spread.items()}
    deviations = {name: deviation for name, (_, deviation) in spread.items()}
    return Confirmed(number, len(reached), asked, failed, means, deviations)
