"""Methods, their models and what these are made of. The table of methods is here; models need PyTorch: import them
from ``eig_tune.models.base``, ``infogan`` or ``jointvae``."""

from eig_tune.models.methods import (
    DECIDING,
    METHODS,
    USES,
    InfoGanSettings,
    JointVaeSettings,
    Method,
    ModelKind,
    ModelSettings,
    NetworkSettings,
    own_methods,
    register_method,
)

__all__ = [
    "DECIDING",
    "METHODS",
    "USES",
    "InfoGanSettings",
    "JointVaeSettings",
    "Method",
    "ModelKind",
    "ModelSettings",
    "NetworkSettings",
    "own_methods",
    "register_method",
]
