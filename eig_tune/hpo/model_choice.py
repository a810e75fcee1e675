"""Which of the models of a trial's parameters is taken home: its own, or that of a fresh seed.

Some seeds of good parameters collapse, or find fewer classes. The model is therefore chosen, by a score that needs
neither labels nor an evaluation classifier: ``label_free_score`` (:mod:`eig_tune.evaluation.metrics`). Were it chosen
by what the confirming classifier says, the confirmed means would no longer be what a user may expect of it.
"""

from collections.abc import Mapping

from eig_tune.hpo.objectives import Metrics

SCORE = "label_free_score"


def best_model(models: Mapping[str, Metrics]) -> str:
    """The name of the model with the best score.

    Args:
        models: what each has reached at its end, by name; the trial's own model first. Those without the score, of
            earlier versions, are not chosen.

    Returns:
        The first of equal ones; the trial's own where none has the score.
    """
    scored = [name for name, metrics in models.items() if SCORE in metrics] or list(models)[:1]
    return max(scored, key=lambda name: models[name].get(SCORE, 0.0))
