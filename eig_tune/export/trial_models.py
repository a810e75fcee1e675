"""The models that MLflow has of a trial's parameters, and which of them is taken home."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eig_tune.config.constraints import Constraints, in_words
from eig_tune.hpo.candidates import SPLIT
from eig_tune.hpo.model_choice import SCORE, best_model, meeting_all
from eig_tune.reports.mlflow_runs import MODEL_FOLDER
from eig_tune.tracking import TrackedSearch, TrackedTrial, has_artifact
from eig_tune.tracking.client import readable_errors


@dataclass(frozen=True)
class TrialModel:
    """One model of a trial's parameters.

    Attributes:
        run_id: the MLflow run that has it.
        seed: on which it was trained: the trial's own, or a fresh one by its number.
        metrics: what it has reached at its end.
        why: a sentence part that says why this one and no other.
    """

    run_id: str
    seed: str
    metrics: Mapping[str, float]
    why: str

    def __str__(self) -> str:
        return f"{self.seed} ({self.why})"


def chosen_model(found: TrackedSearch, chosen: TrackedTrial) -> TrialModel:
    """The model that is taken home of a trial: the best by the rule of :mod:`eig_tune.hpo.model_choice` of those that
    MLflow has, which are its own and those of the fresh seeds that were trained on the same images.

    Returns:
        The trial's own where MLflow has no model at all.

    Raises:
        TrackingError: the store cannot be reached.
    """
    runs = {"its own seed": (chosen.run_id, chosen.own), **_of_fresh_seeds(found, chosen)}
    # One look-up for a trial without confirmations, which is every trial of most searches.
    with_model = {
        name: metrics
        for name, (run_id, metrics) in runs.items()
        if len(runs) == 1 or has_artifact(found.store, run_id, MODEL_FOLDER)
    }
    seed = best_model(with_model, found.constraints) if with_model else next(iter(runs))
    run_id, metrics = runs[seed]
    return TrialModel(run_id, seed, metrics, _why(seed, with_model, found.constraints))


def _of_fresh_seeds(found: TrackedSearch, chosen: TrackedTrial) -> dict[str, tuple[str, Mapping[str, float]]]:
    """Run and metrics of each finished confirmation on the search's own images, by its seed in words."""
    with readable_errors(found.store.uri):
        runs = found.store.runs_below(chosen.run_id, "confirmation")
    finished = [run for run in runs if run.data.tags.get("status") == "finished" and SPLIT not in run.data.params]
    finished.sort(key=_seed)
    return {f"fresh seed {_seed(run)}": (run.info.run_id, dict(run.data.metrics)) for run in finished}


def _seed(run: Any) -> int:
    return int(run.data.params["seed"])


def _why(seed: str, models: Mapping[str, Mapping[str, float]], constraints: Constraints) -> str:
    if len(models) < 2:
        return "the only one of which there is a model"
    meeting = meeting_all(models, constraints)
    compared = meeting or models
    among = f" that meet {in_words(constraints)}" if len(meeting) < len(models) and meeting else ""
    scores = {name: metrics[SCORE] for name, metrics in compared.items() if SCORE in metrics}
    if seed not in scores:
        return f"no model{among} has a {SCORE} to choose by"
    if len(compared) == 1:
        return f"the only one of {len(models)} models that meets {in_words(constraints)}"
    others = ", ".join(f"{name} {score:.3f}" for name, score in scores.items() if name != seed)
    return f"the best of {len(scores)} models{among} by {SCORE}, {scores[seed]:.3f}" + (f"; {others}" if others else "")
