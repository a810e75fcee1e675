"""Own metrics and own networks: classes and functions from Python, never from a space file.

A metric is a :class:`Metric` with a function of what the evaluator observes; ``register_metric`` makes it known, after
which every report has it and a space may name it as an objective. A network is a class that fulfils
:class:`eig_tune.models.base.Model`, such as a child of :class:`InfoGan`;
``register_method(METHODS["elastic-infogan"].with_model("mine", MyNetwork))`` makes the method ``mine`` of it. Both
reach the processes of trials, also when they were defined in a notebook.
"""

from eig_tune.evaluation.base import Metric
from eig_tune.evaluation.registry import register_metric
from eig_tune.models import METHODS, register_method
from eig_tune.models.infogan import InfoGan

__all__ = ["METHODS", "InfoGan", "Metric", "register_method", "register_metric"]
