"""What the engine tries: the trials of a search, or runs that are given beforehand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eig_tune.config.space import SearchSpec
from eig_tune.hpo import collapse
from eig_tune.hpo.asha import SuccessiveHalving
from eig_tune.hpo.objectives import losses_of
from eig_tune.hpo.sampler import Sampler
from eig_tune.hpo.trial import Report, Status, Trial
from eig_tune.models import METHODS


class Searching:
    """Optuna proposes, successive halving promotes."""

    def __init__(self, spec: SearchSpec) -> None:
        self.num_trials = spec.trials
        self.objectives: Mapping[str, str] = spec.objectives
        self._steps = spec.train.steps
        self._method, self._categories = spec.method, spec.model.categories
        self._grace = spec.asha.grace
        self._halving = SuccessiveHalving(spec.rungs(), spec.asha.reduction_factor, spec.trials, spec.asha.brackets)
        self._sampler = Sampler(
            spec.search,
            spec.base_config().flat(),
            len(spec.objectives),
            (*spec.rungs(), spec.train.steps),
            spec.start_from,
            spec.seed,
            spec.sampler,
        )

    def propose(self, number: int) -> Mapping[str, Any]:
        return self._sampler.propose(number)

    def decide(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> tuple[Status, str]:
        if step >= self._grace and (ailment := self._ailment(trial, step, metrics)) is not None:
            return "collapsed", f"{ailment} (step {step})"
        rung = self._enter_rungs(trial, step, metrics)
        if step >= self._steps:
            return "finished", f"full budget of {step} steps"
        if rung is None or self._halving.goes_on(trial.number, rung):
            return "running", ""
        return "paused", f"waits at rung {rung}"

    def paused(self, number: int) -> None:
        self._halving.wait(number)
        self._sampler.abandon(number)

    def promote(self, force: bool) -> int | None:
        return self._halving.promote(force)

    def unpromotable(self) -> Mapping[int, str]:
        return self._halving.unpromotable()

    def waiting(self) -> Mapping[int, str]:
        return self._halving.waiting()

    def _ailment(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> str | None:
        before = [report.metrics.get("q_mutual_information", 0.0) for report in trial.reports.values()]
        learned = METHODS[trial.params.get("method", self._method)].prior == "learned"
        categories = trial.params.get("categories", self._categories)
        most = max(before, default=0.0)
        return collapse.sign_of_collapse(metrics, categories, most, step / self._steps, learns_prior=learned)

    def replay(self, trial: Trial, report: Report) -> None:
        if report.decision not in ("collapsed", "failed"):
            self._enter_rungs(trial, report.step, report.metrics)

    def ended(self, number: int) -> None:
        self._halving.leave(number)
        self._sampler.abandon(number)

    def _enter_rungs(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> int | None:
        losses = losses_of(metrics, self.objectives)
        rung = self._halving.enter(trial.number, step, losses)
        if rung is not None:
            self._sampler.observe(trial.number, rung, trial.params, losses)
        if step >= self._steps:
            self._sampler.observe(trial.number, self._steps, trial.params, losses)
        return rung


class GivenRuns:
    """Every given run once, to its full budget.

    Args:
        runs: values of each; what the event log has already, in whatever order, is not run again.
        budget: steps of the run with these values.
        objectives: metrics that must be there.
        known: values of the trials that the event log has.
    """

    def __init__(
        self,
        runs: Sequence[Mapping[str, Any]],
        budget: Callable[[Mapping[str, Any]], int],
        objectives: Mapping[str, str],
        known: Sequence[Mapping[str, Any]],
    ) -> None:
        begun = [dict(values) for values in known]
        self._pending = [run for run in runs if dict(run) not in begun]
        self.num_trials = len(begun) + len(self._pending)
        self.objectives = objectives
        self._budget = budget

    def propose(self, number: int) -> Mapping[str, Any]:
        return self._pending.pop(0)

    def decide(self, trial: Trial, step: int, metrics: Mapping[str, float]) -> tuple[Status, str]:
        if step >= self._budget(trial.params):
            return "finished", f"full budget of {step} steps"
        return "running", ""

    def paused(self, number: int) -> None:
        """No given run is ever paused."""

    def promote(self, force: bool) -> int | None:
        return None

    def unpromotable(self) -> Mapping[int, str]:
        return {}

    def waiting(self) -> Mapping[int, str]:
        return {}

    def replay(self, trial: Trial, report: Report) -> None:
        """Nothing is learned from runs that are given."""

    def ended(self, number: int) -> None:
        """Nothing is held for them either."""
