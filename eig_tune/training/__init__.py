"""One run: ``fit(config, data)`` yields what it has reached."""

from eig_tune.training.config import TrainConfig, TrainSettings
from eig_tune.training.loop import Progress, TrialData, fit

__all__ = ["Progress", "TrainConfig", "TrainSettings", "TrialData", "fit"]
