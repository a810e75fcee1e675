"""The finished trials of a search that are worth a look: the Pareto front, and all that were confirmed."""

from dataclasses import dataclass
from typing import Any

from eig_tune.export.export_trial import lacks_model
from eig_tune.export.trial_models import TrialModel, chosen_model
from eig_tune.hpo.objectives import front_of
from eig_tune.hpo.selection import ranked
from eig_tune.tracking import TrackedSearch, TrackedTrial


@dataclass(frozen=True)
class Listed:
    """One of them.

    Attributes:
        trial: the trial.
        front: whether it is on the front, by what it has found itself.
        model: the model that is taken home of it; None where MLflow has none.
    """

    trial: TrackedTrial
    front: bool
    model: TrialModel | None

    def document(self) -> dict[str, Any]:
        """The trial as JSON has it."""
        trial, model = self.trial, self.model
        return {
            "trial": trial.number,
            "front": self.front,
            "params": dict(trial.params),
            "found": dict(trial.found),
            "confirmed": trial.confirmed,
            "confirmed_deviations": trial.confirmed_deviations,
            "confirmation": trial.confirmation,
            "model": None if model is None else {"run_id": model.run_id, "seed": model.seed},
        }


def worth_a_look(found: TrackedSearch) -> list[Listed]:
    """Confirmed trials, the best by the knee first, then those of the front that were not confirmed.

    Raises:
        ResultError: no trial has finished.
        TrackingError: the store cannot be reached.
    """
    finished, objectives, constraints = found.finished(), found.objectives, found.constraints
    best_first = [trial for trial in ranked(finished, objectives, constraints) if trial.confirmed]
    front = front_of(finished, lambda trial: trial.own, objectives, constraints)
    shown = {trial.number: trial for trial in [*best_first, *front]}
    on_front = {trial.number for trial in front}
    return [Listed(trial, trial.number in on_front, _model(found, trial)) for trial in shown.values()]


def _model(found: TrackedSearch, trial: TrackedTrial) -> TrialModel | None:
    model = chosen_model(found, trial)
    return model if lacks_model(found, trial, model) is None else None
