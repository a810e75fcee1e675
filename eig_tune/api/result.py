"""What a search has come to, to be looked at from Python."""

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from eig_tune.api.best import BestTrial
from eig_tune.config.constraints import written
from eig_tune.errors import ResultError
from eig_tune.home import Home
from eig_tune.hpo.objectives import front_of, losses_of
from eig_tune.hpo.selection import KNEE, NUMBER, choose
from eig_tune.hpo.trial import ENDED
from eig_tune.tracking import TrackedSearch, TrackedTrial, read_search
from eig_tune.workflows.identity import own_searches

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from eig_tune.config.space import SearchSpec
    from eig_tune.hpo.trial import Trial
    from eig_tune.reports.outcomes import SearchOutcome


class SearchResult:
    """A search as it was when it was first asked for something; ``eig_tune.open_search(name)`` reads it anew.

    Trials and what they have reached come from MLflow, as for ``eig-tune best``.

    Attributes:
        outcome: of a search that has just been run here; None of one that was opened.

    Example:
        >>> result = eig_tune.open_search("digits")
        >>> result.trials.query("status == 'finished'").nmi.max()
        >>> result.best("nmi").export("my-model")
        >>> result.plot_front()
    """

    def __init__(
        self,
        name: str | None,
        home: Home,
        tracking_uri: str,
        spec: "SearchSpec | None" = None,
        outcome: "SearchOutcome | None" = None,
    ) -> None:
        self._name = name
        self._home = home
        self._uri = tracking_uri
        self._spec = spec
        self.outcome = outcome

    @cached_property
    def found(self) -> TrackedSearch:
        """The search as MLflow knows it.

        Raises:
            ResultError: there is no such search.
            TrackingError: the store cannot be reached.
        """
        return read_search(self._uri, self._name, own_searches(self._home, self._name))

    @property
    def name(self) -> str:
        """The search's name."""
        return self.found.name

    @property
    def objectives(self) -> dict[str, str]:
        """Metrics that the search is for, with ``maximize`` or ``minimize``."""
        return dict(self.found.objectives)

    @property
    def constraints(self) -> dict[str, str]:
        """Metrics with a bound that trials must meet, such as ``{"nmi_real": ">= 0.8"}``."""
        return written(self.found.constraints)

    @property
    def complete(self) -> bool:
        """Whether all trials have ended and all confirmations are done."""
        return self.found.complete

    @property
    def progress(self) -> str:
        """What became of the trials and, of a search that is not complete, what is missing."""
        counts = Counter(trial.status for trial in self.found.trials)
        shown = ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "no trial yet"
        if self.complete:
            return shown
        ended = sum(counts[status] for status in ENDED)
        return (
            f"{shown}. Not complete: {ended} of {self.found.num_trials or 'its'} trials have ended; if it does not run "
            f"any more, search(…, name={self.name!r}, resume=True) goes on"
        )

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """One row for each trial, by its number.

        Columns are ``status``, ``step``, ``front`` (it is on the Pareto front), ``param.NAME`` for every searched
        hyperparameter, every metric at the trial's last report by its name, ``second_seed.NAME`` (where the trial was
        trained on a second seed), ``confirmed.NAME`` and ``confirmed_std.NAME`` (mean and standard deviation over
        fresh seeds, where the trial was confirmed) and ``reason``; of a search with constraints ``feasible``, too (a
        finished trial meets all of them, by its confirmed means where it was confirmed).

        Example:
            >>> result.trials.plot.scatter("param.lambda_2", "nmi")
        """
        from eig_tune.api.tables import trials_table

        steps = {trial.number: trial.last.step for trial in self._trials if trial.last}
        return trials_table(self.found, steps, [trial.number for trial in self._front()])

    @cached_property
    def curves(self) -> "pd.DataFrame":
        """One row for each report: ``trial``, ``status``, ``step``, ``at``, ``decision``, ``param.NAME`` and every
        metric.

        Of a search that is still running, or was killed, on another machine there are none.

        Example:
            >>> result.curves.pivot(index="step", columns="trial", values="nmi").plot()
        """
        from eig_tune.api.tables import curves_table

        return curves_table(self._curves)

    @property
    def front(self) -> "pd.DataFrame":
        """The rows of ``trials`` that no other finished trial is better than in everything, the best in the first
        objective first: of trials that meet all constraints, or of all where none does.

        Example:
            >>> result.front[["nmi", "prior_rmse"]]
        """
        return self.trials.loc[[trial.number for trial in self._front()]]

    def best(self, by: str = KNEE) -> BestTrial:
        """The best trial: of those that were confirmed, or of the finished ones where none was; one that meets all
        constraints where there is any, else that which misses them least.

        Args:
            by: an objective, or ``knee``, the nearest to the best of every objective.

        Raises:
            ResultError: no trial has finished, or ``by`` is no objective of this search.

        Example:
            >>> result.best("prior_rmse").params
        """
        found = self.found
        return BestTrial(found, choose(found.finished(), found.objectives, found.constraints, by), by)

    def trial(self, number: int) -> BestTrial:
        """A finished trial by its number, with its model, whether it is the best of anything or not.

        Raises:
            ResultError: there is no such trial, or it has not finished, so that it has no model.

        Example:
            >>> result.trial(7).export("trial-7")
        """
        found = self.found
        finished = {trial.number: trial for trial in found.trials if trial.status == "finished"}
        if number not in finished:
            status = next((trial.status for trial in found.trials if trial.number == number), None)
            what = f"there is no trial {number}" if status is None else f"trial {number} is {status}, and has no model"
            raise ResultError(f"{found.name}: {what}; finished are {', '.join(map(str, finished)) or 'none'}")
        return BestTrial(found, finished[number], NUMBER)

    def plot_front(self) -> "Figure":
        """The first two objectives of all finished trials, with the Pareto front.

        Raises:
            ResultError: no trial has finished, or there is just one objective.

        Example:
            >>> result.plot_front().savefig("front.png")
        """
        from eig_tune.reports.plots import FRONT

        return self._drawn(FRONT)

    def plot_curves(self) -> "Figure":
        """Learning curves of all trials, and the rungs at which they were compared.

        Raises:
            ResultError: no trial has reported yet.

        Example:
            >>> result.plot_curves()
        """
        from eig_tune.reports.plots import RUNGS

        return self._drawn(RUNGS)

    def plot_importance(self, objective: str | None = None) -> "Figure":
        """How much each hyperparameter matters for an objective (fANOVA, as Optuna estimates it).

        Args:
            objective: None is the first one.

        Raises:
            ResultError: fewer than 20 trials have finished, of which hardly more than chance could be told, or there is
                no such objective.

        Example:
            >>> result.plot_importance("nmi")
        """
        from eig_tune.reports.plots import importance_picture

        return self._drawn(importance_picture(self._objective(objective)))

    def plot_history(self, objective: str | None = None) -> "Figure":
        """The best value so far of an objective over the trials; two of them must have finished.

        Args:
            objective: None is the first one.

        Raises:
            ResultError: fewer than two trials have finished, or there is no such objective.

        Example:
            >>> result.plot_history("nmi")
        """
        from eig_tune.reports.plots import history_picture

        return self._drawn(history_picture(self._objective(objective)))

    def plot_parallel_coordinates(self) -> "Figure":
        """Every finished trial as a line through its hyperparameters and its objectives.

        Raises:
            ResultError: fewer than two trials have finished.

        Example:
            >>> result.plot_parallel_coordinates()
        """
        from eig_tune.reports.plots import PARALLEL

        return self._drawn(PARALLEL)

    def _objective(self, name: str | None) -> str:
        known = list(self.found.objectives)
        if name is not None and name not in known:
            raise ResultError(f"objective: got {name!r}; this search's are {', '.join(known)}")
        return name or known[0]

    def _drawn(self, picture: str) -> "Figure":
        from eig_tune.reports.plots import draw

        figure = draw(picture, self._trials, self.spec)
        if figure is None:
            raise ResultError(f"{self.name}: too few trials for {picture}: {self.progress}")
        return figure

    def _front(self) -> list[TrackedTrial]:
        objectives = self.found.objectives
        front = front_of(self.found.finished(), lambda trial: trial.own, objectives, self.found.constraints)
        return sorted(front, key=lambda trial: losses_of(trial.own, objectives))

    @cached_property
    def spec(self) -> "SearchSpec":
        """The space that was searched, resolved.

        Raises:
            ResultError: MLflow does not have it.
            ConfigError: this version cannot read it; own metrics and methods must have been registered.
        """
        from eig_tune.api.reading import read_spec

        return self._spec or read_spec(self.found)

    @cached_property
    def _curves(self) -> list[dict[str, Any]]:
        from eig_tune.api.reading import read_curves

        return read_curves(self.found, self._home)

    @cached_property
    def _trials(self) -> "list[Trial]":
        from eig_tune.api.reading import trials_of

        return trials_of(self.found, self._curves)

    def __repr__(self) -> str:
        return f"<SearchResult {self.name!r}: {self.progress}>"

    def _repr_html_(self) -> str:
        from eig_tune.api.html import result_page

        return result_page(self)
