"""Confirming a search's best: trained again from fresh seeds, evaluated by a classifier that the search never saw.

The best of many noisy trials is partly the luckiest. What a trial reaches again on other seeds is what a user of
its parameters may expect; the difference is the selection bias of the search (the winner's curse).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from eig_tune.cluster.moved_checkpoints import find_checkpoints
from eig_tune.config.space import SearchSpec
from eig_tune.home import Home
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.objectives import mean_and_deviation
from eig_tune.hpo.policies import GivenRuns
from eig_tune.hpo.selection import Confirmed, judged, to_confirm
from eig_tune.hpo.trial import Trial
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.stopping import Interrupted, TimeIsOverError
from eig_tune.terminal.progress import Console, Terminal
from eig_tune.tracking import SearchTracker
from eig_tune.workflows.identity import begin_or_check
from eig_tune.workflows.prepare import prepare_confirming_classifier
from eig_tune.workflows.session import IMAGES, Order, Workplace, run_trials

_ASKED = "asked"  # among the event log's notes: the seeds of each trial's newest confirmation that came to its end


@contextmanager
def confirmation_event_log(place: Workplace, home: Home) -> Iterator[EventLog]:
    """The event log of a search's confirmations, open.

    Raises:
        ResultError: the one that is there belongs to another search.
    """
    file = home.confirmation_event_log(place.store.name)
    with EventLog(file, place.storage.uri) as event_log:
        begin_or_check(event_log, place.search_id, {}, str(file), home)
        find_checkpoints(event_log, place.storage)
        yield event_log


def confirm(
    spec: SearchSpec, search: Engine, place: Workplace, tracker: SearchTracker, home: Home, console: Console
) -> bool:
    """Train every candidate on every fresh seed that has not been yet; nothing when the space asks for none.

    Returns:
        Whether all that shall be trained has been.
    """
    chosen = [c.number for c in to_confirm(judged(search.finished()), spec.objectives, spec.confirm.top)]
    runs = [{"trial": number, "seed": seed} for seed in range(spec.confirm.seeds) for number in chosen]
    with confirmation_event_log(place, home) as event_log:
        known = [trial.params for trial in event_log.trials.values()]
        strategy = GivenRuns(runs, lambda values: spec.train.steps, spec.objectives, known)
        data = place.datasets[IMAGES]
        mlflow_runs = MlflowRuns(tracker, place.storage, data.images.classes, spec.method, confirming=True)
        if runs and not place.stop.asked:
            console.print(
                f"confirming {len(chosen)} of the best on {spec.confirm.seeds} fresh seeds each", highlight=False
            )
        steps = strategy.num_trials * spec.train.steps
        with Terminal(event_log.trials, strategy.num_trials, steps, spec.objectives, console) as terminal:
            engine = Engine(strategy, event_log, (mlflow_runs, terminal))
            mlflow_runs.catch_up(event_log.trials)
            if not engine.complete:
                try:
                    classifier = prepare_confirming_classifier(spec, data, home, console, place.stop.check)
                    confirming = replace(place, datasets={IMAGES: classifier})
                    run_trials(engine, confirming, lambda t: _order(spec, search, t.params), terminal)
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


def _order(spec: SearchSpec, search: Engine, values: Mapping[str, Any]) -> Order:
    confirmed = search.event_log.trials[values["trial"]]
    fresh = hashlib.sha256(f"confirm/{spec.seed}/{confirmed.number}/{values['seed']}".encode()).digest()
    seed = int.from_bytes(fresh[:4], "big") % 2**31
    return Order(spec.trial_config(confirmed.number, confirmed.params).with_values({"seed": seed}), IMAGES)


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
