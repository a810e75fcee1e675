"""Suggesting the number K of categories, from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eig_tune.api.running import attended, home_at, run_options
from eig_tune.api.space import Space, name_of, resolve, with_data
from eig_tune.stopping import Stop
from eig_tune.workflows.view import View

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from eig_tune.data import DatasetConfig
    from eig_tune.data.arrays import ArrayLike
    from eig_tune.reports.outcomes import SuggestionOutcome


@dataclass(frozen=True, repr=False)
class KSuggestion:
    """Which number K of categories the images have groups for.

    Attributes:
        outcome: its runs as trials, the agreement of every K, and the folder with table and curve.
    """

    outcome: "SuggestionOutcome"

    @property
    def recommended(self) -> int | None:
        """The recommended K; None when no K has two finished runs.

        Example:
            >>> space = eig_tune.load_space("space.yaml", model={"categories": suggestion.recommended})
        """
        return self.outcome.suggestion.recommended

    @property
    def certainty(self) -> float:
        """In which share of resamples of the seeds the recommended K is recommended."""
        return self.outcome.suggestion.certainty

    @property
    def complete(self) -> bool:
        """Whether every seed of every K has been trained."""
        return self.outcome.complete

    @property
    def table(self) -> "pd.DataFrame":
        """One row for each K: ``agreement`` and its ``error``, how often it is ``recommended`` when the seeds are drawn
        anew, the means of metrics, and the number of ``seeds`` and ``failed`` runs. Metrics that need labels are not
        used for the choice.

        Example:
            >>> suggestion.table.agreement.plot(yerr=suggestion.table.error)
        """
        import pandas as pd

        rows = [
            {"categories": row.categories, "agreement": row.agreement, "error": row.error}
            | {"recommended": row.recommended, **row.means, "seeds": row.seeds, "failed": row.failed}
            for row in self.outcome.suggestion.rows
        ]
        return pd.DataFrame(rows).set_index("categories")

    def plot_agreement(self) -> "Figure":
        """Agreement over K with its standard errors, the recommended K marked.

        Example:
            >>> suggestion.plot_agreement().savefig("agreement.png")
        """
        from eig_tune.reports.suggestion import agreement_figure

        return agreement_figure(self.outcome.suggestion)

    def __repr__(self) -> str:
        ended = sum(trial.ended for trial in self.outcome.trials)
        state = "complete" if self.complete else f"not complete: {ended} runs have ended; resume=True goes on"
        return f"<KSuggestion {self.outcome.name!r}: K = {self.recommended}, certainty {self.certainty:.0%}, {state}>"

    def _repr_html_(self) -> str:
        from eig_tune.api.html import suggestion_page

        return suggestion_page(self)


def suggest_k(
    space: Space,
    data: "ArrayLike | DatasetConfig | str | None" = None,
    labels: "ArrayLike | None" = None,
    *,
    categories: str | Sequence[int] | None = None,
    seeds: int = 3,
    best_of: str | None = None,
    name: str | None = None,
    home: str | Path | None = None,
    tracking_uri: str | None = None,
    resume: bool = False,
    gpus: int | None = None,
    trials_per_gpu: int | Literal["auto"] = 1,
    cpus: int | None = None,
    address: str | None = None,
    autoscale: bool = False,
    storage: str | None = None,
    time_budget: str | float | None = None,
    view: View | None = None,
    stop: Stop | None = None,
) -> KSuggestion:
    """Train a few seeds for each number K of categories, and suggest the K of which seeds agree best. No labels are
    needed, and none are used for the choice.

    Arguments that are not described here, and interrupting it, are as for :func:`eig_tune.search`.

    Args:
        space: says what runs have in common; what it searches is not varied.
        categories: the numbers K, two or more; 2, 3, 5, 8, 10, 14 and 20 by default.
        seeds: runs of each K, three or more.
        best_of: take the hyperparameters from this search's best trial, named by its name or its run.
        name: of the work; the space file's with ``-k``, or ``suggest-k``.

    Returns:
        The recommended K, the agreement of every K, and the runs.

    Raises:
        ConfigError: something in the space, the categories or the seeds is wrong; every problem is reported.
        DataError: the images cannot be had.
        EigTuneError: it cannot begin, or cannot go on; nothing is lost.
        KeyboardInterrupt: it was interrupted before its first run had begun.

    Example:
        >>> eig_tune.suggest_k("search_spaces/digits.yaml", categories=[5, 10, 20]).recommended
    """
    from eig_tune.workflows.suggest_k import (
        DEFAULT_CATEGORIES,
        SuggestionPlan,
        best_params,
        parse_categories,
        run_suggestion,
    )

    given = DEFAULT_CATEGORIES if categories is None else categories
    numbers = parse_categories(given if isinstance(given, str) else ",".join(map(str, given)))
    plan = SuggestionPlan(numbers, seeds)
    spec, arrays = with_data(resolve(space, searching=False), data, labels)
    place = home_at(home)
    with attended(view, time_budget, stop) as (shown, asked_to_stop):
        options = run_options(
            name or name_of(space, "{}-k", "suggest-k"),
            place,
            tracking_uri,
            gpus,
            trials_per_gpu,
            cpus,
            address,
            autoscale,
            storage,
            resume,
            asked_to_stop,
        )
        if best_of is not None:
            plan = SuggestionPlan(numbers, seeds, best_params(best_of, options, place))
        return KSuggestion(run_suggestion(spec, plan, options, place, shown, arrays))
