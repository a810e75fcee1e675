"""What a search is for where its space does not say so, and objectives for which a bad model would win.

Without labels a metric can be best for a model that has found nothing: the rows of the metrics' table say for which
(:attr:`~eig_tune.evaluation.base.Metric.fooled_by`), and by which the number of categories cannot be chosen.
"""

from collections.abc import Collection, Iterable, Mapping

from eig_tune.errors import Problem
from eig_tune.evaluation.base import Direction
from eig_tune.evaluation.metrics import METRICS
from eig_tune.evaluation.registry import directions, own_metrics

WITH_LABELS: Mapping[str, Direction] = {"nmi": "maximize", "prior_rmse": "minimize"}
# One that sees generator and prior, by what Q says of real images, and one that sees Q. A model that has collapsed is
# bad in the first, and one whose generator and Q agree on something that is in no real image, too; the second is bad
# where Q takes an image for another when it is turned a little. Of five such sets the only one that ended far from the
# labelled choice on none of four data sets (benchmarks/RESULTS.md, "A search without labels").
WITHOUT_LABELS: Mapping[str, Direction] = {"label_free_score": "maximize", "augment_information": "maximize"}


def default_objectives(*, labelled: bool) -> dict[str, Direction]:
    """The objectives of a space that names none."""
    return dict(WITH_LABELS if labelled else WITHOUT_LABELS)


def as_far_as_known(objectives: object) -> dict[str, Direction] | None:
    """Objectives that were read from a file, if this process has all of them; else None."""
    known = directions()
    if not isinstance(objectives, dict) or not objectives:
        return None
    found = {name: known[name] for name in objectives if name in known}
    return found if found == objectives else None


def unsafe_objectives(objectives: Collection[str], searched: Collection[str]) -> list[Problem]:
    """Why a search for these objectives would end at a bad model; empty when it would not.

    Args:
        objectives: names of metrics; without any, nothing is searched for and nothing is wrong.
        searched: names of the searched parameters.
    """
    rows = [METRICS[name] for name in objectives]
    problems = []
    if rows and all(row.fooled_by for row in rows):
        alone = " alone" if len(rows) == 1 else ""
        fooled = "; ".join(f"{row.name}{alone} is also best for {row.fooled_by}" for row in rows)
        problems.append(Problem("objectives", f"{fooled}. Add {_either(safe_without_labels())}{_or_labelled()}"))
    if "categories" in searched and rows and all(row.biased_by_categories for row in rows):
        what = (
            f"the number of categories changes {' and '.join(objectives)} whatever is in the images, and fewer are "
            "easier, so that the search would end at too few (measured: at 2 for 3 classes). Set model.categories, for "
            f"which `eig-tune suggest-k` finds a number{_or_labelled()}"
        )
        problems.append(Problem("search.categories", what))
    return problems


def safe_without_labels() -> list[str]:
    """Names of eig-tune's own metrics that need no labels and that no known bad model is best in."""
    own = {metric.name for metric in own_metrics()}
    return [
        name
        for name, row in METRICS.items()
        if row.direction is not None and not row.needs_labels and not row.fooled_by and name not in own
    ]


def objectives_in_words(objectives: Mapping[str, str]) -> str:
    """``maximize nmi, minimize prior_rmse``"""
    return ", ".join(f"{direction} {name}" for name, direction in objectives.items())


def _or_labelled() -> str:
    return ", or add a metric that needs labels, such as nmi, where there are labels"


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)
