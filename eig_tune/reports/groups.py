"""Groups of a bundle: categories of a model that look alike, put together, with their shares added up."""

from collections.abc import Mapping
from dataclasses import dataclass

from eig_tune.reports.markdown import apart

GROUP_COLUMNS = ("group", "categories", "share")
_HEADING = "### Groups of categories that look alike"


@dataclass(frozen=True)
class Groups:
    """How the categories of a model are put together.

    Attributes:
        of_category: the group of each category, groups counted from 0 in the order of their first categories.
        shares: the learned prior of each group, which is the sum over its categories.
        metrics: what the groups reach where there are labels, by the names of the metrics of categories; else empty.
    """

    of_category: tuple[int, ...]
    shares: tuple[float, ...]
    metrics: Mapping[str, float]

    def members(self, group: int) -> list[int]:
        """The categories of a group."""
        return [category for category, of in enumerate(self.of_category) if of == group]


def group_rows(groups: Groups) -> list[tuple[str, str, str]]:
    """A row for each group: its number, its categories, its share."""
    return [
        (str(group), ", ".join(map(str, groups.members(group))), f"{share:.3f}")
        for group, share in enumerate(groups.shares)
    ]


def reached_in_words(groups: Groups) -> str:
    """``nmi 0.912, prior_rmse 0.011, classes_found 10``; empty without labels."""
    texts = {
        name: f"{value:.0f}" if name == "classes_found" else f"{value:.3f}" for name, value in groups.metrics.items()
    }
    return ", ".join(f"{name} {text}" for name, text in texts.items())


def markdown(groups: Groups) -> str:
    """The table of groups, and what they reach where there are labels."""
    lines = ["| " + " | ".join(line) + " |" for line in (GROUP_COLUMNS, ("---",) * 3, *group_rows(groups))]
    reached = f"\n\nAs groups: {reached_in_words(groups)}." if groups.metrics else ""
    return "\n".join(lines) + reached


def describe_groups(groups: Groups, before: str) -> str:
    """The description of the model's run in MLflow, with the groups at its end in place of earlier ones.

    Args:
        groups: of the model's categories.
        before: the run's description.
    """
    own = before.partition(_HEADING)[0].rstrip()
    return "\n\n".join(filter(None, [own, f"{_HEADING}\n\n{apart(markdown(groups))}\n"]))
