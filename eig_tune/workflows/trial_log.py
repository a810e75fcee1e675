"""The log's line for every trial that ends."""

import logging
from collections.abc import Mapping

from eig_tune.hpo.candidates import run_in_words
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.trial import Trial

logger = logging.getLogger(__name__)


class TrialLog(Observer):
    """Logs how trials have ended; a failed one as a warning.

    Args:
        objectives: metric to direction; the last value of each is in the line.
    """

    def __init__(self, objectives: Mapping[str, str]) -> None:
        self._objectives = objectives

    def trial_ended(self, trial: Trial) -> None:
        failed = trial.status == "failed"
        logger.log(logging.WARNING if failed else logging.INFO, "%s", self._line(trial))

    def _line(self, trial: Trial) -> str:
        reached = zip(self._objectives, objective_texts(trial, self._objectives), strict=True)
        name = trial.name if trial.status == "failed" else f"trial {trial.number}"
        if "trial" in trial.params:  # it is no trial itself, but a further seed of one
            name = run_in_words(trial.params)
        step = trial.last.step if trial.last else 0
        texts = " ".join(f"{metric}={text}" for metric, text in reached)
        return f"{name} {trial.status} at step {step:,}: {texts} ({trial.reason})"


def objective_texts(trial: Trial, objectives: Mapping[str, str]) -> list[str]:
    """What a trial has reached last in each objective, to three digits; "–" where it has not reported it."""
    metrics = trial.last.metrics if trial.last else {}
    return [f"{metrics[name]:.3f}" if name in metrics else "–" for name in objectives]
