"""Finished trials with what their parameters have reached on other seeds: what the choice is made from.

A trial is trained once in the search. The best are trained on a second seed (``second``), which is evaluated as the
trial was, and the best of these on fresh seeds (``confirmed``), which another evaluation classifier judges.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eig_tune.config.constraints import Constraints
from eig_tune.hpo.model_choice import best_model
from eig_tune.hpo.objectives import Metrics
from eig_tune.hpo.trial import Trial

SECOND_SEED = "second"  # in the place of a fresh seed's number, among the params of a run
SPLIT = "split"  # among the params of a run on other images than the search's own
SECOND, CONFIRMED, CONFIRMED_DEVIATION = "second_seed.", "confirmed.", "confirmed_std."  # prefixes of metrics
ADDED = (SECOND, CONFIRMED, CONFIRMED_DEVIATION)  # to the metrics that a trial has reported itself
COMPLETE = "complete"


@dataclass(frozen=True)
class Confirmed:
    """What a trial's parameters have reached on fresh seeds: mean and standard deviation of every metric.

    Attributes:
        trial: its number.
        seeds: runs that have finished, over which the means are; with ``splits`` one for each seed on each of them.
        asked: runs that shall finish before the trial counts as confirmed.
        failed: runs that have failed.
        means: by metric.
        deviations: by metric; none of a single run.
        splits: on how many imbalances each seed is trained; 0 is the search's own images.
        models: what each run on the search's own images has reached, by the key of its MLflow run.
    """

    trial: int
    seeds: int
    asked: int
    failed: int
    means: Mapping[str, float]
    deviations: Mapping[str, float]
    splits: int = 0
    models: Mapping[str, Metrics] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether it counts."""
        return self.seeds >= self.asked and not self.failed

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        asked = fresh_seeds(self.asked, self.splits)
        return COMPLETE if self.complete else f"{self.seeds} of {asked} finished{failed}"

    def as_metrics(self) -> dict[str, float]:
        """As they stand in MLflow, on the trial's own run."""
        means = {f"{CONFIRMED}{name}": value for name, value in self.means.items()}
        deviations = {f"{CONFIRMED_DEVIATION}{name}": value for name, value in self.deviations.items()}
        splits = {f"{CONFIRMED}splits": float(self.splits)} if self.splits else {}
        return {**means, **deviations, f"{CONFIRMED}seeds": float(self.seeds), **splits}


@dataclass(frozen=True)
class Candidate:
    """A finished trial of an event log, with what was confirmed of it.

    Attributes:
        trial: the trial.
        confirmation: what its parameters have reached on fresh seeds; None where they were not trained on any.
        second: and on the second seed.
    """

    trial: Trial
    confirmation: Confirmed | None = None
    second: Metrics = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def _complete(self) -> Confirmed | None:
        """The confirmation, if it counts."""
        return self.confirmation if self.confirmation is not None and self.confirmation.complete else None

    @property
    def found(self) -> Metrics:
        return mean_of(self.trial.last.metrics if self.trial.last is not None else {}, self.second)

    @property
    def confirmed(self) -> Metrics:
        return {} if self._complete is None else self._complete.means

    @property
    def confirmed_deviations(self) -> Metrics:
        """Standard deviations over the same runs."""
        return {} if self._complete is None else self._complete.deviations

    @property
    def runs(self) -> int:
        """Runs that have confirmed it."""
        return 0 if self._complete is None else self._complete.seeds

    @property
    def splits(self) -> int:
        """Imbalances on which they were trained; 0 where that is the search's own one."""
        return 0 if self._complete is None else self._complete.splits

    def model(self, constraints: Constraints) -> str:
        """The key of the MLflow run that has the model which is taken home, from a search with these constraints."""
        own = self.trial.last.metrics if self.trial.last is not None else {}
        fresh = {} if self.confirmation is None else self.confirmation.models
        return best_model({str(self.number): own, **fresh}, constraints)

    def as_metrics(self) -> dict[str, float]:
        """What its parameters have reached on other seeds, as it stands in MLflow on the trial's own run."""
        confirmed = {} if self._complete is None else self._complete.as_metrics()
        return {**{f"{SECOND}{name}": value for name, value in self.second.items()}, **confirmed}


def run_in_words(params: Mapping[str, Any]) -> str:
    """``second seed of trial 3``, ``confirmation of trial 3 · seed 0``, by the params of a run that is no trial."""
    if params["seed"] == SECOND_SEED:
        return f"second seed of trial {params['trial']}"
    split = f" · split {params[SPLIT]}" if SPLIT in params else ""
    return f"confirmation of trial {params['trial']} · seed {params['seed']}{split}"


def mean_of(own: Metrics, second: Metrics) -> Metrics:
    """What a trial counts as found: the mean of what its own seed and a second one have reached, if there is one."""
    return {name: (own[name] + second[name]) / 2 for name in own if name in second} if second else own


def fresh_seeds(runs: int, splits: int = 0) -> str:
    """``1 fresh seed``, ``3 fresh seeds``, ``6 runs (fresh seeds on each of 3 splits)``."""
    if splits:
        return f"{runs} runs (fresh seeds on each of {splits} splits)"
    return f"{runs} fresh seed{'' if runs == 1 else 's'}"


def candidates_of(
    trials: Iterable[Trial], confirmed: Iterable[Confirmed] = (), second: Mapping[int, Metrics] | None = None
) -> list[Candidate]:
    """The finished ones among the trials, each with what was confirmed of it.

    Args:
        trials: of a search.
        confirmed: what was confirmed.
        second: what was reached on a second seed, by the trial's number.
    """
    of, reached = {confirmation.trial: confirmation for confirmation in confirmed}, second or {}
    return [
        Candidate(trial, of.get(trial.number), reached.get(trial.number, {}))
        for trial in trials
        if trial.status == "finished"
    ]
