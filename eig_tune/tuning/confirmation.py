"""Confirming a search's best: trained again from fresh seeds, judged by a judge that the search never saw.

The best of many noisy trials is partly the luckiest. What a trial reaches again on other seeds is what a user of
its parameters may expect; the difference is the search's optimism (the winner's curse).
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eig_tune.tracking import CONFIRMED, CONFIRMED_DEVIATION, SearchTracker
from eig_tune.tuning import pareto
from eig_tune.tuning.engine import Engine
from eig_tune.tuning.home import Home
from eig_tune.tuning.identity import begin_or_check
from eig_tune.tuning.journal import MlflowJournal
from eig_tune.tuning.ledger import Ledger, Trial
from eig_tune.tuning.prepare import prepare_confirming_judge
from eig_tune.tuning.progress import Console, Terminal
from eig_tune.tuning.results import losses_of, mean_and_deviation
from eig_tune.tuning.running import IMAGES, Order, Workplace, run_trials
from eig_tune.tuning.space import SearchSpec
from eig_tune.tuning.strategies import GivenRuns


@dataclass(frozen=True)
class Confirmed:
    """What a trial's parameters have reached on fresh seeds: mean and standard deviation of every metric."""

    trial: int
    seeds: int
    means: Mapping[str, float]
    deviations: Mapping[str, float]

    def as_metrics(self) -> dict[str, float]:
        """As they stand in MLflow, on the trial's own run."""
        means = {f"{CONFIRMED}{name}": value for name, value in self.means.items()}
        deviations = {f"{CONFIRMED_DEVIATION}{name}": value for name, value in self.deviations.items()}
        return {**means, **deviations, f"{CONFIRMED}seeds": float(self.seeds)}


def candidates(finished: Sequence[Trial], objectives: Mapping[str, str], top: int) -> list[Trial]:
    """The ``top`` best finished trials: the front first, and of it first what is best in all objectives together."""
    if not finished or not top:
        return []
    losses_NM = np.array([losses_of(trial.last.metrics, objectives) for trial in finished if trial.last])
    by_sum = pareto.normalised(losses_NM).sum(axis=1)
    best_first = np.lexsort((by_sum, pareto.ranks(losses_NM)))
    return [finished[index] for index in best_first[:top].tolist()]


@contextmanager
def confirmation_ledger(place: Workplace, home: Home) -> Iterator[Ledger]:
    """The ledger of a search's confirmations, open.

    Raises:
        ResultError: the one that is there belongs to another search.
    """
    file = home.confirmation_ledger(place.store.name)
    with Ledger(file) as ledger:
        begin_or_check(ledger, place.search_id, {}, str(file))
        yield ledger


def confirm(
    spec: SearchSpec, search: Engine, place: Workplace, tracker: SearchTracker, home: Home, console: Console
) -> list[Confirmed]:
    """Train every candidate on every fresh seed that has not been yet; nothing when the space asks for none."""
    chosen = {t.number: t for t in candidates(search.finished(), spec.objectives, spec.confirm.top)}
    runs = [{"trial": number, "seed": seed} for seed in range(spec.confirm.seeds) for number in chosen]
    with confirmation_ledger(place, home) as ledger:
        known = [trial.values for trial in ledger.trials.values()]
        strategy = GivenRuns(runs, lambda values: spec.train.steps, spec.objectives, known)
        data = place.datasets[IMAGES]
        journal = MlflowJournal(tracker, place.storage, data.images.classes, spec.method, confirming=True)
        if runs:
            console.print(
                f"confirming {len(chosen)} of the best on {spec.confirm.seeds} fresh seeds each", highlight=False
            )
        steps = strategy.wanted * spec.train.steps
        with Terminal(ledger.trials, strategy.wanted, steps, spec.objectives, console) as terminal:
            engine = Engine(strategy, ledger, (journal, terminal))
            journal.catch_up(ledger.trials, front=())
            if not engine.complete:
                judged = prepare_confirming_judge(spec, data, home, console)
                confirming = replace(place, datasets={IMAGES: judged})
                try:
                    run_trials(engine, confirming, lambda t: _order(spec, search, t.values), terminal)
                finally:
                    journal.stopped(ledger.trials.values())
        return summaries(chosen, ledger.trials.values())


def _order(spec: SearchSpec, search: Engine, values: Mapping[str, Any]) -> Order:
    confirmed = search.ledger.trials[values["trial"]]
    fresh = hashlib.sha256(f"confirm/{spec.seed}/{confirmed.number}/{values['seed']}".encode()).digest()
    seed = int.from_bytes(fresh[:4], "big") % 2**31
    return Order(spec.trial_config(confirmed.number, confirmed.values).with_values({"seed": seed}), IMAGES)


def summaries(chosen: Mapping[int, Trial], runs: Collection[Trial]) -> list[Confirmed]:
    """Mean and standard deviation over the finished runs of every chosen trial that has any."""
    confirmed = []
    for number in chosen:
        reached = [r.last.metrics for r in runs if r.values["trial"] == number and r.status == "finished" and r.last]
        if reached:
            told_by_all = [name for name in reached[0] if all(name in metrics for metrics in reached)]
            spread = {name: mean_and_deviation([metrics[name] for metrics in reached]) for name in told_by_all}
            means = {name: mean for name, (mean, _) in spread.items()}
            deviations = {name: deviation for name, (_, deviation) in spread.items()}
            confirmed.append(Confirmed(number, len(reached), means, deviations))
    return confirmed


def optimism(confirmed: Sequence[Confirmed], trials: Mapping[int, Trial], metric: str) -> float:
    """How much better a metric was found than confirmed, on average; in the metric's own sign."""
    found = [trial.last.metrics[metric] for c in confirmed if (trial := trials[c.trial]).last is not None]
    return float(np.mean([f - c.means[metric] for f, c in zip(found, confirmed, strict=True)]))
