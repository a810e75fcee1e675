"""How a model is judged: the evaluation classifier, the metrics, and their pictures."""

from eig_tune.evaluation.classifier import EvaluationClassifier, train_classifier
from eig_tune.evaluation.evaluator import Evaluation, Evaluator

__all__ = ["Evaluation", "EvaluationClassifier", "Evaluator", "train_classifier"]
