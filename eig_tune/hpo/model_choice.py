"""Which of the models of a trial's parameters is taken home: its own, or that of a fresh seed.

Some seeds of good parameters collapse, or find fewer classes. The model is therefore chosen, by a score that needs
neither labels nor an evaluation classifier: ``label_free_score`` (:mod:`eig_tune.evaluation.metrics`). Were it chosen
by what the confirming classifier says, the confirmed means would no longer be what a user may expect of it. A bound is
another matter: whoever has asked for all ten classes wants them in the model too, so that models which meet all
constraints of the search come first.
"""

from collections.abc import Mapping

from eig_tune.config.constraints import Constraints
from eig_tune.hpo.objectives import Metrics, missed

SCORE = "label_free_score"


def best_model(models: Mapping[str, Metrics], constraints: Constraints) -> str:
    """The name of the model with the best score, of those that meet all constraints; of all of them if none does.

    Args:
        models: what each has reached at its end, by name; the trial's own model first. Those without the score, of
            earlier versions, are not chosen.
        constraints: of the search.

    Returns:
        The first of equal ones; the trial's own where none has the score.
    """
    meeting = meeting_all(models, constraints) or models
    scored = [name for name, metrics in meeting.items() if SCORE in metrics] or list(meeting)[:1]
    return max(scored, key=lambda name: models[name].get(SCORE, 0.0))


def meeting_all(models: Mapping[str, Metrics], constraints: Constraints) -> dict[str, Metrics]:
    """The models that miss no constraint."""
    return {name: metrics for name, metrics in models.items() if not missed(metrics, constraints)}
