"""How a model is judged: the evaluation classifier, the metrics, and their pictures."""

from eig_tune.evaluation.classifier import Judge, train_judge
from eig_tune.evaluation.evaluator import Evaluation, Evaluator

__all__ = ["Evaluation", "Evaluator", "Judge", "train_judge"]
