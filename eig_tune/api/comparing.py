"""The paper's comparison from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eig_tune.api.running import attended, home_at, run_options
from eig_tune.api.space import Space, name_of, resolve, with_data
from eig_tune.stopping import Stop
from eig_tune.workflows.view import View

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from eig_tune.data import DatasetConfig
    from eig_tune.data.arrays import ArrayLike
    from eig_tune.reports.outcomes import ComparisonOutcome


@dataclass(frozen=True, repr=False)
class ComparisonResult:
    """What a comparison of methods has come to.

    Attributes:
        methods: those that were compared.
        outcome: its cells as trials, and the folder with its table and pictures.
    """

    methods: tuple[str, ...]
    outcome: "ComparisonOutcome"

    @property
    def complete(self) -> bool:
        """Whether every method has been trained on every imbalance with every seed."""
        return self.outcome.complete

    @property
    def table(self) -> "pd.DataFrame":
        """One row for each method, by its name: ``METRIC``, ``METRIC_std`` and ``METRIC_p`` (mean, standard deviation,
        and p-value against Elastic-InfoGAN, corrected by Holm) and the number of ``cells``, ``failed`` and ``splits``.

        Example:
            >>> comparison.table[["nmi", "nmi_std"]].sort_values("nmi")
        """
        import pandas as pd

        from eig_tune.reports.comparison import rows_of

        rows = [
            {
                **{
                    column: number
                    for metric, mean in row.means.items()
                    for column, number in (
                        (metric, mean),
                        (f"{metric}_std", row.deviations[metric]),
                        (f"{metric}_p", row.p_values[metric]),
                    )
                },
                **{"cells": row.cells, "failed": row.failed, "splits": row.splits},
            }
            for row in rows_of(self.outcome.trials, self.methods)
        ]
        return pd.DataFrame(rows, index=pd.Index(self.methods, name="method"))

    @property
    def cells(self) -> "pd.DataFrame":
        """One row for each run: ``method``, ``split`` (``none`` is balanced images), ``seed``, ``status``, ``step`` and
        every metric at its end.

        Example:
            >>> comparison.cells.boxplot("nmi", by="method")
        """
        import pandas as pd

        rows: list[dict[str, Any]] = [
            {
                **{name: trial.params[name] for name in ("method", "split", "seed")},
                **{"status": trial.outcome, "step": trial.last.step if trial.last else 0},
                **(trial.last.metrics if trial.last else {}),
            }
            for trial in self.outcome.trials
        ]
        return pd.DataFrame(rows)

    def plot_methods(self) -> "Figure":
        """Mean and standard deviation of every method in every compared metric.

        Example:
            >>> comparison.plot_methods().savefig("methods.png")
        """
        from eig_tune.reports.comparison import rows_of
        from eig_tune.reports.comparison_report import methods_figure

        return methods_figure(rows_of(self.outcome.trials, self.methods))

    def plot_curves(self) -> "Figure":
        """Mean learning curves of every method.

        Example:
            >>> comparison.plot_curves()
        """
        from eig_tune.evaluation.figures import learning_figure
        from eig_tune.reports.comparison_report import mean_curves

        return learning_figure(mean_curves(self.outcome.trials, self.methods))

    def __repr__(self) -> str:
        ended = sum(trial.ended for trial in self.outcome.trials)
        state = "complete" if self.complete else f"not complete: {ended} runs have ended; resume=True goes on"
        return f"<ComparisonResult {self.outcome.name!r} of {', '.join(self.methods)}: {state}>"

    def _repr_html_(self) -> str:
        from eig_tune.api.html import comparison_page

        return comparison_page(self)


def compare(
    space: Space,
    data: "ArrayLike | DatasetConfig | str | None" = None,
    labels: "ArrayLike | None" = None,
    *,
    methods: str | Sequence[str] = "all",
    splits: str | Sequence[int] = "0-4",
    seeds: int = 2,
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
) -> ComparisonResult:
    """Train every method on every imbalance with every seed, as the paper's table does.

    Arguments that are not described here, and interrupting it, are as for :func:`eig_tune.search`.

    Args:
        space: says what runs have in common, and under ``compare`` what is set for one method alone.
        methods: names, or ``all``.
        splits: numbers of the random imbalances, or text such as ``0-4``; p-values take four.
        seeds: runs of each method on each imbalance.
        best_of: take each method's hyperparameters from this search, named by its name or its run.
        name: of the comparison; the space file's with ``-compare``, or ``compare``.

    Returns:
        Table, runs and pictures.

    Raises:
        ConfigError: something in the space, the methods or the splits is wrong; every problem is reported.
        DataError: the images cannot be had, or have no labels.
        EigTuneError: it cannot begin, or cannot go on; nothing is lost.
        KeyboardInterrupt: it was interrupted before its first run had begun.

    Example:
        >>> methods = ["elastic-infogan", "gumbel-softmax"]
        >>> eig_tune.compare("search_spaces/digits.yaml", methods=methods, splits=[0]).table
    """
    from eig_tune.config.unused import find_unused_in_comparison
    from eig_tune.workflows.compare import ComparisonPlan, parse_methods, parse_splits, run_comparison, winners_of
    from eig_tune.workflows.prepare import warn_of_unused

    chosen = parse_methods(methods if isinstance(methods, str) else ",".join(methods))
    numbers = parse_splits(splits if isinstance(splits, str) else ",".join(map(str, splits)))
    spec, arrays = with_data(resolve(space, searching=False), data, labels)
    place = home_at(home)
    with attended(view, time_budget, stop) as (shown, asked_to_stop):
        options = run_options(
            name or name_of(space, "{}-compare", "compare"),
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
        warn_of_unused(find_unused_in_comparison(spec, chosen))
        winners = winners_of(best_of, chosen, options, place) if best_of is not None else {}
        outcome = run_comparison(spec, ComparisonPlan(chosen, numbers, seeds, winners), options, place, shown, arrays)
        return ComparisonResult(chosen, outcome)
