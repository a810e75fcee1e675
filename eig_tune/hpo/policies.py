"""What the engine tries and when it stops: the trials of a search, or a list of fixed runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eig_tune.config.constraints import NO_CONSTRAINTS, Constraints
from eig_tune.config.space import SearchSpec
from eig_tune.hpo import collapse
from eig_tune.hpo.added import TrialRequests
from eig_tune.hpo.asha import SuccessiveHalving
from eig_tune.hpo.objectives import Metrics, Objectives, losses_of
from eig_tune.hpo.sampler import OptunaSampler, Sampler
from eig_tune.hpo.trial import CONTINUE, Decision, Report, Trial, pause, stop
from eig_tune.models import METHODS


class Policy(ABC):
    """What is tried, and how far each trial is trained. The engine asks it and notifies it; it keeps no trials.

    Attributes:
        num_trials: how many trials there shall be.
        objectives: metric to direction; a report without one of them fails its trial.
        constraints: metric to bound; a report without one of them fails its trial, too.
        rungs: steps at which trials are compared.
        settled: whether there will be no more than ``num_trials``, whatever is still to come.
    """

    num_trials: int
    objectives: Objectives
    constraints: Constraints = NO_CONSTRAINTS
    rungs: Sequence[int] = ()
    settled: bool = True

    @abstractmethod
    def propose(self, number: int) -> Mapping[str, Any]:
        """The params of the new trial ``number``."""

    @abstractmethod
    def decide(self, trial: Trial, step: int, metrics: Metrics) -> Decision:
        """Learn from a report of ``trial``, which is not among its reports yet, and decide whether it goes on."""

    def replay(self, trial: Trial, report: Report) -> None:
        """Learn from a report about which an earlier process has decided. By default nothing is learned."""

    def requested(self) -> Mapping[str, Mapping[str, Any]]:
        """Trials of a person's own, params by the id of the request; those that were given before may be among them."""
        return {}

    def add(self, number: int, params: Mapping[str, Any]) -> None:
        """Trial ``number``, which is still to be proposed, is to have these params, and there will be one more."""

    def on_paused(self, number: int) -> None:
        """Trial ``number`` is paused, as was decided, and could be promoted from now on."""

    def on_ended(self, number: int) -> None:
        """Trial ``number`` will report no more."""

    def promote(self, force: bool) -> int | None:
        """A paused trial that shall go on, or a stopped one that shall be trained again; None when there is none.

        Args:
            force: if none has earned it, the best one: no other trial can get to its end any more.
        """
        return None

    def unpromotable(self) -> Mapping[int, str]:
        """Paused trials that will never be promoted, each with the reason."""
        return {}

    def still_paused(self) -> Mapping[int, str]:
        """All paused trials, each with the reason why it got no further, for the end of the search."""
        return {}


class SearchPolicy(Policy):
    """A search: Optuna proposes (:mod:`~eig_tune.hpo.sampler`), ASHA decides (:mod:`~eig_tune.hpo.asha`), and a model
    that has collapsed is stopped (:mod:`~eig_tune.hpo.collapse`).

    Args:
        spec: the space, the objectives and the rungs.
        sampler: what proposes instead of Optuna.
        requests: where a person may ask for trials; none by default.
    """

    def __init__(self, spec: SearchSpec, sampler: Sampler | None = None, requests: TrialRequests | None = None) -> None:
        self.num_trials = spec.trials
        self._asked_for, self._requests, self._added = spec.trials, requests, set[int]()
        self.objectives = spec.objectives
        self.constraints = spec.constraints
        self.rungs = spec.rungs()
        self._steps = spec.train.steps
        self._method, self._categories = spec.method, spec.model.categories
        self._grace = spec.asha.grace
        self._halving = SuccessiveHalving(self.rungs, spec.asha.reduction_factor, spec.trials, spec.asha.brackets)
        self._sampler = OptunaSampler(spec) if sampler is None else sampler

    def propose(self, number: int) -> Mapping[str, Any]:
        return self._sampler.propose(number)

    def requested(self) -> Mapping[str, Mapping[str, Any]]:
        return {} if self._requests is None else self._requests.new()

    def add(self, number: int, params: Mapping[str, Any]) -> None:
        self._added.add(number)
        self._sampler.add(number, params)
        self.num_trials = max(self._asked_for + len(self._added), max(self._added) + 1)

    def decide(self, trial: Trial, step: int, metrics: Metrics) -> Decision:
        if step >= self._grace and (sign := self._sign_of_collapse(trial, step, metrics)) is not None:
            return stop("collapsed", f"{sign} (step {step})")
        rung = self._learn(trial, step, metrics)
        if step >= self._steps:
            return stop("finished", f"full budget of {step} steps")
        if rung is None or self._halving.is_promotable(trial.number, rung):
            return CONTINUE
        return pause(f"waits at rung {rung}")

    def replay(self, trial: Trial, report: Report) -> None:
        if report.is_valid:
            self._learn(trial, report.step, report.metrics)

    def on_paused(self, number: int) -> None:
        self._halving.pause(number)
        self._sampler.abandon(number)

    def on_ended(self, number: int) -> None:
        self._halving.remove(number)
        self._sampler.abandon(number)

    def promote(self, force: bool) -> int | None:
        return self._halving.promote(force)

    def unpromotable(self) -> Mapping[int, str]:
        return self._halving.unpromotable()

    def still_paused(self) -> Mapping[int, str]:
        return self._halving.still_paused()

    def _learn(self, trial: Trial, step: int, metrics: Metrics) -> int | None:
        """Enter the rungs that ``trial`` has reached; the highest new one, if any."""
        losses = losses_of(metrics, self.objectives)
        excesses = [bound.relative_excess(metrics[name]) for name, bound in self.constraints.items()]
        rung = self._halving.enter(trial.number, step, losses)
        if rung is not None:
            self._sampler.observe(trial.number, rung, trial.params, losses, excesses)
        if step >= self._steps:
            self._sampler.observe(trial.number, self._steps, trial.params, losses, excesses)
        return rung

    def _sign_of_collapse(self, trial: Trial, step: int, metrics: Metrics) -> str | None:
        before = [report.metrics.get("q_mutual_information", 0.0) for report in trial.reports.values()]
        learns_prior = METHODS[trial.params.get("method", self._method)].prior == "learned"
        categories = trial.params.get("categories", self._categories)
        most = max(before, default=0.0)
        return collapse.sign_of_collapse(metrics, categories, most, step / self._steps, learns_prior=learns_prior)


class FixedRuns(Policy):
    """Every given run once, to its full budget.

    Args:
        runs: the params of each; those of trials that there are already, in whatever order, are not run again.
        budget: steps of the run with these params.
        objectives: metrics that every report must have.
        known: the params of the trials that there are already.
        constraints: further such metrics.
    """

    def __init__(
        self,
        runs: Sequence[Mapping[str, Any]],
        budget: Callable[[Mapping[str, Any]], int],
        objectives: Objectives,
        known: Sequence[Mapping[str, Any]],
        constraints: Constraints = NO_CONSTRAINTS,
    ) -> None:
        begun = [dict(params) for params in known]
        self._pending = [run for run in runs if dict(run) not in begun]
        self.num_trials = len(begun) + len(self._pending)
        self.objectives = objectives
        self.constraints = constraints
        self._budget = budget

    def propose(self, number: int) -> Mapping[str, Any]:
        return self._pending.pop(0)

    def decide(self, trial: Trial, step: int, metrics: Metrics) -> Decision:
        return stop("finished", f"full budget of {step} steps") if step >= self._budget(trial.params) else CONTINUE
