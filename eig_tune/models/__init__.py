"""The networks, priors, losses and methods, and the models they make."""

from eig_tune.models.infogan import InfoGan, InfoGanSettings
from eig_tune.models.jointvae import JointVae, JointVaeSettings
from eig_tune.models.methods import DECIDING, METHODS, USES, Method
from eig_tune.models.networks import NetworkSettings

Model = InfoGan | JointVae

__all__ = [
    "DECIDING",
    "METHODS",
    "USES",
    "InfoGan",
    "InfoGanSettings",
    "JointVae",
    "JointVaeSettings",
    "Method",
    "Model",
    "NetworkSettings",
]
