"""The trial that was chosen from a search, and its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eig_tune.hpo.objectives import missed
from eig_tune.hpo.selection import NUMBER, reached
from eig_tune.tracking import TrackedSearch, TrackedTrial

if TYPE_CHECKING:
    import pandas as pd

    from eig_tune.api.model import TrainedModel
    from eig_tune.export.trial_models import TrialModel


@dataclass(frozen=True, repr=False)
class BestTrial:
    """The best trial of a search by one criterion.

    Attributes:
        search: the search as MLflow knows it.
        trial: the trial as MLflow knows it.
        by: the objective by which it is the best, or ``knee``; ``number`` if it was asked for by its number.

    Example:
        >>> best = result.best("nmi")
        >>> best.number, best.params["lambda_2"], best.metrics["nmi"]
        >>> categories = best.model().predict(images)
    """

    search: TrackedSearch
    trial: TrackedTrial
    by: str

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number

    @property
    def params(self) -> Mapping[str, bool | int | float | str]:
        """Its hyperparameters."""
        return self.trial.params

    @property
    def metrics(self) -> Mapping[str, float]:
        """What it had reached at its last step."""
        return self.trial.own

    @property
    def found(self) -> Mapping[str, float]:
        """What it counts as found: the same, or the mean of that and of a second seed where it was trained on one."""
        return self.trial.found

    @property
    def confirmed(self) -> Mapping[str, float]:
        """Means of the metrics over fresh seeds; empty when it was not confirmed."""
        return self.trial.confirmed

    @property
    def confirmed_std(self) -> Mapping[str, float]:
        """Standard deviations over the same seeds."""
        return self.trial.confirmed_deviations

    @property
    def missed(self) -> Mapping[str, float]:
        """By how much it misses each of the search's constraints that it does not meet, by its confirmed means where it
        was confirmed."""
        return missed(reached(self.trial), self.search.constraints)

    @cached_property
    def trial_model(self) -> "TrialModel":
        """Which of the models of its parameters :meth:`model` and :meth:`export` take: of its own seed and the fresh
        ones that meet the search's constraints the best by ``label_free_score``, which uses no labels.

        Raises:
            TrackingError: the store cannot be reached.

        Example:
            >>> print(result.best().trial_model.seed, result.best().trial_model.metrics["nmi"])
        """
        from eig_tune.export.trial_models import chosen_model

        return chosen_model(self.search, self.trial)

    @property
    def categories(self) -> "pd.DataFrame":
        """One row for each category of its model, by its number.

        Columns are ``prior`` (the learned share), ``images`` (the share of the training images that Q puts there),
        ``mean_probability`` (how sure it is of them), ``alike`` (how much other categories look like it, by their
        numbers) and ``shows`` (the class that is generated, where there are labels).

        Raises:
            TrackingError: the store cannot be reached.

        Example:
            >>> result.best().categories.sort_values("images")
        """
        import pandas as pd

        from eig_tune.export.export_trial import read_trial_categories

        rows = pd.DataFrame(read_trial_categories(self.search, self.trial_model))
        return rows if rows.empty else rows.set_index("category")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that say where its encoder is worse than its samples look; none where nothing is seen."""
        from eig_tune.reports.disagreement import disagreement_of

        return disagreement_of(self.trial, self.search.objectives, self.search.constraints).signs

    def export(self, folder: str | Path, *, merge_to: int | Literal["auto"] | None = None) -> Path:
        """Write its model as a bundle: weights, programs for PyTorch and ONNX, pictures and a model card.

        Args:
            folder: a new one.
            merge_to: put categories that look alike together into so many groups; ``auto`` goes by how alike they
                look. The model keeps its categories; ``predict_groups`` gives the groups.

        Returns:
            The folder; ``eig_tune.load_bundle`` reads it.

        Raises:
            EigTuneError: the folder is there already or cannot be written, or there are fewer categories.
            CheckpointError: the trial has no model in MLflow, or it is damaged.

        Example:
            >>> result.best().export("my-model")
        """
        from eig_tune.export.export_trial import export_trial

        groups = None if merge_to is None else str(merge_to)
        export_trial(self.search, self.trial, self.trial_model, Path(folder), self.by, groups)
        return Path(folder)

    def model(self) -> "TrainedModel":
        """Its model, ready to find the categories of images and to draw images.

        Raises:
            CheckpointError: the trial has no model in MLflow, or it is damaged.
            TrackingError: the store cannot be reached.

        Example:
            >>> result.best().model().predict(images)
        """
        from eig_tune.api.model import TrainedModel
        from eig_tune.export.export_trial import read_trial_model

        return TrainedModel(*read_trial_model(self.search, self.trial, self.trial_model))

    def __repr__(self) -> str:
        reached = self.confirmed or self.found
        shown = ", ".join(f"{name}={reached[name]:.3f}" for name in self.search.objectives if name in reached)
        kind = "confirmed" if self.confirmed else "found"
        best = "" if self.by == NUMBER else f", best by {self.by}"
        return f"<trial {self.number} of {self.search.name!r}{best}: {kind} {shown}>"

    def _repr_html_(self) -> str:
        from eig_tune.api.html import best_page

        return best_page(self)
