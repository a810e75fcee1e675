"""What the runs of ``suggest-k`` say about the number K of categories.

Shape suffixes: N images, R runs of one K.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eig_tune.errors import CheckpointError
from eig_tune.evaluation import figures
from eig_tune.evaluation.agreement import certainty, mean_agreement, pairwise_agreement, recommended, standard_error
from eig_tune.evaluation.record import read_assigned
from eig_tune.hpo.trial import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("augment_information", "label_free_score")
LABELLED = ("nmi", "nmi_real")
NOT_USED = "not used for the choice"
PICTURE, TABLE, ROWS = "agreement.png", "table.md", "agreement.csv"
RULE = (
    "Agreement is the adjusted mutual information of the categories that runs with different seeds give the same "
    "training images, ± its standard error over seeds. It has a peak at a K whose agreement is no lower than that of "
    "the next smaller and the next larger one that were tried. Recommended is the smallest K at a peak that is not "
    "below the highest by more than that one's standard error; certainty is how often that is so when the seeds are "
    "drawn anew, with replacement."
)


@dataclass(frozen=True)
class KRow:
    """The runs of one number of categories.

    Attributes:
        categories: their number K.
        seeds: how many runs have finished, and have said which image they give which category.
        failed: how many runs have not.
        agreement: mean adjusted mutual information over pairs of runs; NaN for fewer than two.
        error: its standard error over seeds; NaN for fewer than three.
        recommended: in which share of resamples of the seeds this K is recommended.
        means: of metrics over the runs, by name; those that need labels only where there are labels.
    """

    categories: int
    seeds: int
    failed: int
    agreement: float
    error: float
    recommended: float
    means: Mapping[str, float]


@dataclass(frozen=True)
class Suggestion:
    """The rows by K, and the K that is recommended; None when no K has two finished runs."""

    rows: tuple[KRow, ...]
    recommended: int | None

    @property
    def certainty(self) -> float:
        """In which share of resamples of the seeds the recommended K is recommended."""
        return next((row.recommended for row in self.rows if row.categories == self.recommended), 0.0)

    @property
    def at_the_end(self) -> bool:
        """Whether the recommended K is the smallest or the largest that was tried, since agreement has no peak."""
        tried = [row.categories for row in self.rows]
        return self.recommended in (min(tried), max(tried))


def suggest(trials: Sequence[Trial], categories: Sequence[int], evaluations: Path) -> Suggestion:
    """What the runs say, as far as they have finished.

    Args:
        trials: the runs.
        categories: the numbers K that were tried.
        evaluations: has a folder for each finished run, named by its number, with the evaluation at its end.
    """
    runs = {k: [trial for trial in trials if trial.params["categories"] == k] for k in sorted(categories)}
    finished = {k: [trial for trial in of if trial.status == "finished"] for k, of in runs.items()}
    assigned = {k: list(_assigned(of, evaluations)) for k, of in finished.items()}
    agreement = {k: pairwise_agreement(of) for k, of in assigned.items()}
    means = {k: mean_agreement(pairs_RR) for k, pairs_RR in agreement.items()}
    errors = {k: standard_error(pairs_RR) for k, pairs_RR in agreement.items()}
    shares = certainty(agreement)
    rows = tuple(
        KRow(
            categories=k,
            seeds=len(assigned[k]),
            failed=sum(trial.ended for trial in of) - len(assigned[k]),
            agreement=means[k],
            error=errors[k],
            recommended=shares.get(k, 0.0),
            means=_means(finished[k]),
        )
        for k, of in runs.items()
    )
    return Suggestion(rows, recommended(means, errors))


def _assigned(finished: Iterable[Trial], evaluations: Path) -> Iterable[NDArray[np.int64]]:
    for trial in finished:
        try:
            yield read_assigned(evaluations / str(trial.number))
        except CheckpointError:
            continue  # counted as failed: its checkpoint was lost before its evaluation was kept


def _means(finished: Sequence[Trial]) -> dict[str, float]:
    reached = [trial.last.metrics for trial in finished if trial.last is not None]
    of_metric = {name: [metrics[name] for metrics in reached if name in metrics] for name in (*SHOWN, *LABELLED)}
    return {name: float(np.mean(values)) for name, values in of_metric.items() if values}


def columns(suggestion: Suggestion) -> list[str]:
    """Names of the metrics beside the agreement."""
    return [name for name in (*SHOWN, *LABELLED) if any(name in row.means for row in suggestion.rows)]


def cells(row: KRow, metrics: Sequence[str]) -> list[str]:
    """One row of the table as text: K, agreement, how often it is recommended, the metrics, and the seeds."""
    error = "" if math.isnan(row.error) else f" ± {row.error:.3f}"
    agreement = "–" if math.isnan(row.agreement) else f"{row.agreement:.3f}{error}"
    values = [f"{row.means[name]:.3f}" if name in row.means else "–" for name in metrics]
    seeds = f"{row.seeds}" + (f" ({row.failed} failed)" if row.failed else "")
    return [str(row.categories), agreement, f"{row.recommended:.0%}", *values, seeds]


def header(metrics: Sequence[str]) -> list[str]:
    """The names of the columns of :func:`cells`."""
    return ["K", "agreement", "recommended", *metrics, "seeds"]


def in_words(suggestion: Suggestion) -> list[str]:
    """Sentences: which K is recommended, how certain that is, and what it does not say."""
    if suggestion.recommended is None:
        return ["No K is recommended: that takes two finished runs of one K."]
    lines = [
        f"Recommended: K = {suggestion.recommended}, in {suggestion.certainty:.0%} of resamples of the seeds.",
    ]
    if suggestion.at_the_end and len(suggestion.rows) > 1:
        lines.append(_no_peak(suggestion))
    if any(name in row.means for row in suggestion.rows for name in LABELLED):
        lines.append(f"{' and '.join(LABELLED)} need labels; they are {NOT_USED}.")
    return lines


def _no_peak(suggestion: Suggestion) -> str:
    tried = [row.categories for row in suggestion.rows]
    if suggestion.recommended == max(tried):
        further = ",".join(map(str, [*tried, min(1000, max(tried) * 3 // 2)]))
        return f"It is the largest K that was tried; a larger one may be better: --categories {further}"
    return (
        "It is the smallest K that was tried, and agreement has no peak at another: few categories agree easily, "
        "whatever is in the images, so that this says little about their number."
    )


def markdown(suggestion: Suggestion) -> str:
    """The table, the recommended K in bold, and what it means."""
    metrics = columns(suggestion)
    lines = ["| " + " | ".join(header(metrics)) + " |", "|" + "---|" * len(header(metrics))]
    for row in suggestion.rows:
        texts = cells(row, metrics)
        if row.categories == suggestion.recommended:
            texts[0] = f"**{texts[0]}**"
        lines.append("| " + " | ".join(texts) + " |")
    return "\n\n".join(["\n".join(lines), *in_words(suggestion), RULE]) + "\n"


def write_suggestion(suggestion: Suggestion, folder: Path) -> None:
    """Write the table as Markdown and CSV and the curve as a picture into ``folder``."""
    (folder / TABLE).write_text(markdown(suggestion), encoding="utf-8")
    metrics = columns(suggestion)
    with (folder / ROWS).open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["categories", "agreement", "error", "recommended", *metrics, "seeds", "failed"])
        for row in suggestion.rows:
            values = [row.means.get(name, "") for name in metrics]
            writer.writerow([row.categories, row.agreement, row.error, row.recommended, *values, row.seeds, row.failed])
    figures.save_figure(agreement_figure(suggestion), folder / PICTURE)


def agreement_figure(suggestion: Suggestion) -> "Figure":
    """Agreement over K with its standard errors, the recommended K marked."""
    known = [row for row in suggestion.rows if not math.isnan(row.agreement)]
    return figures.agreement_figure(
        [row.categories for row in known],
        [row.agreement for row in known],
        [0.0 if math.isnan(row.error) else row.error for row in known],
        suggestion.recommended,
    )
