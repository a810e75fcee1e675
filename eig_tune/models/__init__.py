"""The networks, priors, losses and methods, and the models they make."""

from eig_tune.models.infogan import InfoGan, InfoGanSettings
from eig_tune.models.methods import METHODS, Method
from eig_tune.models.networks import NetworkSettings

__all__ = ["METHODS", "InfoGan", "InfoGanSettings", "Method", "NetworkSettings"]
