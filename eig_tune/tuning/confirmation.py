"""Confirming a search's best: trained again from fresh seeds, judged by a judge that the search never saw.

The best of many noisy trials is partly the luckiest. What a trial reaches again on other seeds is what a user of
its parameters may expect; the difference is the search's optimism (the winner's curse).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from eig_tune.stopping import Interrupted, TimeIsOverError
from eig_tune.tracking import SearchTracker
from eig_tune.tuning.engine import Engine
from eig_tune.tuning.home import Home
from eig_tune.tuning.identity import begin_or_check
from eig_tune.tuning.journal import MlflowJournal
from eig_tune.tuning.ledger import Ledger, Trial
from eig_tune.tuning.moved import find_checkpoints
from eig_tune.tuning.prepare import prepare_confirming_judge
from eig_tune.tuning.progress import Console, Terminal
from eig_tune.tuning.results import mean_and_deviation
from eig_tune.tuning.running import IMAGES, Order, Workplace, run_trials
from eig_tune.tuning.selection import Confirmed, judged, to_confirm
from eig_tune.tuning.space import SearchSpec
from eig_tune.tuning.strategies import GivenRuns

_ASKED = "asked"  # among the ledger's notes: the seeds of each trial's newest confirmation that came to its end


@contextmanager
def confirmation_ledger(place: Workplace, home: Home) -> Iterator[Ledger]:
    """The ledger of a search's confirmations, open.

    Raises:
        ResultError: the one that is there belongs to another search.
    """
    file = home.confirmation_ledger(place.store.name)
    with Ledger(file, place.storage.uri) as ledger:
        begin_or_check(ledger, place.search_id, {}, str(file), home)
        find_checkpoints(ledger, place.storage)
        yield ledger


def confirm(
    spec: SearchSpec, search: Engine, place: Workplace, tracker: SearchTracker, home: Home, console: Console
) -> bool:
    """Train every candidate on every fresh seed that has not been yet; nothing when the space asks for none.

    Returns:
        Whether all that shall be trained has been.
    """
    chosen = [c.number for c in to_confirm(judged(search.finished()), spec.objectives, spec.confirm.top)]
    runs = [{"trial": number, "seed": seed} for seed in range(spec.confirm.seeds) for number in chosen]
    with confirmation_ledger(place, home) as ledger:
        known = [trial.values for trial in ledger.trials.values()]
        strategy = GivenRuns(runs, lambda values: spec.train.steps, spec.objectives, known)
        data = place.datasets[IMAGES]
        journal = MlflowJournal(tracker, place.storage, data.images.classes, spec.method, confirming=True)
        if runs and not place.stop.asked:
            console.print(
                f"confirming {len(chosen)} of the best on {spec.confirm.seeds} fresh seeds each", highlight=False
            )
        steps = strategy.wanted * spec.train.steps
        with Terminal(ledger.trials, strategy.wanted, steps, spec.objectives, console) as terminal:
            engine = Engine(strategy, ledger, (journal, terminal))
            journal.catch_up(ledger.trials)
            if not engine.complete:
                try:
                    judge = prepare_confirming_judge(spec, data, home, console, place.stop.check)
                    confirming = replace(place, datasets={IMAGES: judge})
                    run_trials(engine, confirming, lambda t: _order(spec, search, t.values), terminal)
                except (Interrupted, TimeIsOverError):
                    pass  # while the judge was trained
                finally:
                    journal.stopped(ledger.trials.values())
        if engine.complete:
            note_complete(ledger, chosen, spec.confirm.seeds)
        return engine.complete


def note_complete(ledger: Ledger, chosen: Sequence[int], seeds: int) -> None:
    """Note that every run of a confirmation has ended, so that one that is extended later and then interrupted leaves
    its trials confirmed."""
    before = ledger.notes.get(_ASKED, {})
    asked = {**before, **{str(number): seeds for number in chosen}}
    if asked != before:
        ledger.note({_ASKED: asked})


def _order(spec: SearchSpec, search: Engine, values: Mapping[str, Any]) -> Order:
    confirmed = search.ledger.trials[values["trial"]]
    fresh = hashlib.sha256(f"confirm/{spec.seed}/{confirmed.number}/{values['seed']}".encode()).digest()
    seed = int.from_bytes(fresh[:4], "big") % 2**31
    return Order(spec.trial_config(confirmed.number, confirmed.values).with_values({"seed": seed}), IMAGES)


def summaries(ledger: Ledger, seeds: int) -> list[Confirmed]:
    """Every trial of a confirmation's ledger, with mean and standard deviation over its finished runs.

    Args:
        seeds: what is asked of a trial of which no confirmation has come to its end yet.
    """
    runs = defaultdict[int, list[Trial]](list)
    for run in ledger.trials.values():
        runs[run.values["trial"]].append(run)
    asked = ledger.notes.get(_ASKED, {})
    return [_summary(number, of, asked.get(str(number), seeds)) for number, of in runs.items()]


def _summary(number: int, runs: Sequence[Trial], asked: int) -> Confirmed:
    reached = [run.last.metrics for run in runs if run.status == "finished" and run.last is not None]
    told_by_all = [name for name in (reached[0] if reached else {}) if all(name in metrics for metrics in reached)]
    spread = {name: mean_and_deviation([metrics[name] for metrics in reached]) for name in told_by_all}
    failed = sum(run.ended for run in runs) - len(reached)
    means = {name: mean for name, (mean, _) in spread.items()}
    deviations = {name: deviation for name, (_, deviation) in spread.items()}
    return Confirmed(number, len(reached), asked, failed, means, deviations)


def optimism(confirmed: Sequence[Confirmed], trials: Mapping[int, Trial], metric: str) -> float:
    """How much better a metric was found than confirmed, on average; in the metric's own sign."""
    found = [trial.last.metrics[metric] for c in confirmed if (trial := trials[c.trial]).last is not None]
    return float(np.mean([f - c.means[metric] for f, c in zip(found, confirmed, strict=True)]))
