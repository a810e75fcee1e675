"""Putting categories of a model together that look alike, for its bundle.

Shape suffixes: K categories, M groups, C classes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eig_tune.errors import CheckpointError, EigTuneError
from eig_tune.evaluation import metrics
from eig_tune.evaluation.base import Array
from eig_tune.evaluation.merging import merged
from eig_tune.evaluation.record import read_merging
from eig_tune.reports.groups import Groups

AUTO = "auto"


def parse_merge_to(text: str) -> int | None:
    """The number of groups; None for ``auto``, where categories are joined as long as they look alike enough.

    Raises:
        EigTuneError: it is neither.
    """
    if text == AUTO:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise EigTuneError(f"--merge-to: got {text!r}; write a number of groups from 1 on, or {AUTO}")
    return int(text)


def merge_categories(model: Path, count: int | None) -> Groups:
    """Put together the categories of the model in a folder.

    Args:
        model: has the weights, and the evaluation at the end of the training.
        count: how many groups; None is as many as :data:`~eig_tune.evaluation.merging.THRESHOLD` leaves.

    Raises:
        EigTuneError: there are fewer categories than that.
        CheckpointError: the folder has no evaluation, because an earlier version has written it.
    """
    try:
        seen = read_merging(model)
    except CheckpointError as error:
        raise CheckpointError(
            f"--merge-to: nothing is kept of which categories look alike ({error}); `eig-tune train` with the trial's "
            "parameters makes the model again"
        ) from error
    categories = len(seen.prior)
    if count is not None and count > categories:
        raise EigTuneError(f"--merge-to: got {count}; the model has {categories} categories")
    of_category = merged(seen.alike, count)
    shares = np.bincount(of_category, weights=seen.prior).astype(np.float64)
    reached: dict[str, float] = {}
    if seen.table is not None and seen.class_distribution is not None:
        reached = _reached(sum_rows(seen.table, of_category.tolist()), shares, seen.class_distribution)
    return Groups(tuple(of_category.tolist()), tuple(shares.tolist()), reached)


def sum_rows(table_KC: Array, of_category: Sequence[int]) -> Array:
    """The table of groups and classes [M, C]."""
    table_MC = np.zeros((max(of_category) + 1, table_KC.shape[1]))
    np.add.at(table_MC, list(of_category), table_KC)
    return table_MC


def _reached(table_MC: Array, shares_M: Array, class_distribution_C: Array) -> dict[str, float]:
    return {
        "nmi": metrics.nmi(table_MC),
        "prior_rmse": metrics.prior_rmse(table_MC, shares_M, class_distribution_C),
        "classes_found": float(metrics.classes_found(table_MC)),
    }
