"""Class imbalance: how many training images of each class are kept.

The paper tunes on random imbalances of a balanced data set (Ojha et al., arXiv 1910.01112, section 4). A
``split`` is a seeded one: the same number gives the same proportions on every machine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag

from eig_tune.errors import DataError
from eig_tune.paths import expanded
from eig_tune.schema import MOST, Section

SMALLEST_FRACTION = 0.1
_SPLIT_STREAM = 1910_01112


class ImbalanceSplit(Section):
    """A seeded random imbalance, numbered."""

    split: int = Field(ge=0, le=MOST, description="number of the imbalance, the same on every machine")


class ImbalanceFile(Section):
    """A row of a table (.npy or .csv): one row per imbalance, one column per class, counts or fractions."""

    file: Path = Field(description="the table, .npy or .csv")
    row: int = Field(default=0, ge=0, le=MOST, description="row of the table, counted from 0")


def _form(value: object) -> str | None:
    """Which form of imbalance was meant."""
    if value == "none":
        return "<none>"
    keys = (
        value.keys() if isinstance(value, Mapping) else type(value).model_fields if isinstance(value, Section) else ()
    )
    return "<split>" if "split" in keys else "<file>" if "file" in keys else None


Imbalance = Annotated[
    Annotated[ImbalanceSplit, Tag("<split>")]
    | Annotated[ImbalanceFile, Tag("<file>")]
    | Annotated[Literal["none"], Tag("<none>")],
    Discriminator(
        _form,
        custom_error_type="imbalance_form",
        custom_error_message="Give {{split: 0}}, {{file: table.npy, row: 0}}, or none",
    ),
]


def class_fractions(imbalance: Imbalance, classes: int) -> NDArray[np.float64]:
    """Size of every class relative to the largest one, shape [C], in (0, 1]."""
    if isinstance(imbalance, ImbalanceSplit):
        return _random_fractions(imbalance.split, classes)
    if isinstance(imbalance, ImbalanceFile):
        return _fractions_from_table(imbalance, classes)
    return np.ones(classes)


def _random_fractions(split: int, classes: int) -> NDArray[np.float64]:
    rng = np.random.Generator(np.random.PCG64([_SPLIT_STREAM, split]))
    fractions = rng.uniform(SMALLEST_FRACTION, 1.0, size=classes)
    fractions[rng.integers(classes)] = 1.0
    return fractions


def _fractions_from_table(imbalance: ImbalanceFile, classes: int) -> NDArray[np.float64]:
    table = _read_table(imbalance.file)
    if table.shape[1] != classes:
        raise DataError(
            f"dataset.imbalance.file: {imbalance.file} has {table.shape[1]} columns, "
            f"but the data set has {classes} classes; give one column per class"
        )
    if imbalance.row >= len(table):
        raise DataError(
            f"dataset.imbalance.row: {imbalance.file} has {len(table)} rows, got row {imbalance.row}; rows count from 0"
        )
    row = table[imbalance.row]
    if not (np.isfinite(row).all() and (row > 0).all()):
        raise DataError(
            f"dataset.imbalance.row: row {imbalance.row} of {imbalance.file} must hold positive, finite numbers"
        )
    fractions: NDArray[np.float64] = row / row.max()
    return fractions


def _read_table(file: Path) -> NDArray[np.float64]:
    path = expanded(file, "dataset.imbalance.file")
    if not path.is_file():
        raise DataError(f"dataset.imbalance.file: there is no file {path}")
    try:
        if path.suffix == ".npy":
            table = np.load(path, allow_pickle=False)
        else:
            table = np.loadtxt(path, delimiter=",", comments="#")
        table = np.atleast_2d(np.asarray(table, dtype=np.float64))
    except (ValueError, TypeError, EOFError, UnicodeDecodeError) as error:
        raise DataError(
            f"dataset.imbalance.file: {path} is not a table of numbers (.npy or comma-separated .csv): {error}"
        ) from error
    if table.ndim != 2:
        raise DataError(f"dataset.imbalance.file: {path} has {table.ndim} dimensions; a table has 2")
    return table


def imbalanced_counts(fractions: NDArray[np.float64], available: NDArray[np.int64]) -> NDArray[np.int64]:
    """The largest counts [C] with the proportions ``fractions`` [C] that ``available`` [C] images allow."""
    if available.min() == 0:
        raise DataError(f"dataset: class {int(available.argmin())} has no image, so no imbalance can be made of it")
    scale = (available / fractions).min()
    counts: NDArray[np.int64] = np.maximum(np.floor(scale * fractions + 1e-9), 1).astype(np.int64)
    return counts


def choose(labels: NDArray[np.int64], counts: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Indices of ``counts[k]`` images of each class k, drawn by ``seed``, in shuffled order."""
    rng = np.random.Generator(np.random.PCG64(seed))
    of_class = np.split(np.argsort(labels, kind="stable"), np.bincount(labels, minlength=len(counts)).cumsum()[:-1])
    chosen = [rng.permutation(indices)[:count] for indices, count in zip(of_class, counts.tolist(), strict=True)]
    return rng.permutation(np.concatenate(chosen))
