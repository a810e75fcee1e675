"""The metrics: one row of a table each, beside the formula that computes it.

To add one, write its formula and its row in ``METRICS`` here: directions, what needs labels, the columns of the
terminal, of comparisons and of the documentation follow from the row. A user's own is a row given from Python to
:func:`eig_tune.evaluation.registry.register_metric`.

Formulas are NumPy, float64 and pure functions. The paper's three come from a table of categories × classes (Ojha et
al., arXiv 1910.01112, section 4): ``table_KC[k, c]`` counts the images of category k that are of class c.

Shape suffixes: G generated images, N images, K categories, C classes.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from eig_tune.evaluation.base import Array, Metric


def category_table(categories_N: NDArray[np.int64], classes_N: NDArray[np.int64], shape: tuple[int, int]) -> Array:
    """Counts [K, C] of every (category, class) pair."""
    table = np.zeros(shape)
    np.add.at(table, (categories_N, classes_N), 1)
    return table


def nmi(table_KC: Array) -> float:
    """Normalised mutual information of category and class, 0..1, arithmetic mean of the two entropies."""
    joint = table_KC / table_KC.sum()
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    row_entropy, column_entropy = entr(rows).sum(), entr(columns).sum()
    mean_entropy = (row_entropy + column_entropy) / 2
    if mean_entropy == 0:
        return 1.0
    mutual_information = row_entropy + column_entropy - entr(joint).sum()
    return float(np.clip(mutual_information / mean_entropy, 0, 1))


def nmi_of_chance(images: int, categories: int, class_distribution_C: Array) -> float:
    """The NMI that a table of so many images has on average when category and class have nothing to do with each other:
    0 for many images, and near 1 where there are as many pairs of the two as images."""
    random, repeats = np.random.default_rng(0), 5
    independent_KC = np.outer(np.full(categories, 1 / categories), class_distribution_C)
    tables = random.multinomial(images, independent_KC.ravel(), size=repeats).reshape(repeats, *independent_KC.shape)
    return float(np.mean([nmi(table_KC.astype(np.float64)) for table_KC in tables]))


def average_entropy(table_KC: Array) -> float:
    """Mean over all rows and columns of the entropy of each, normalised to sum 1, in nats; lower is better.

    A class that no image was put into says nothing about the category, so its column counts as uniform:
    otherwise a model that makes one class only would come out best.
    """
    rows = [_normalised_entropy(row) for row in table_KC]
    columns = [_normalised_entropy(column) for column in table_KC.T]
    return float(np.mean(rows + columns))


def _normalised_entropy(counts: Array) -> float:
    total = counts.sum()
    return float(entr(counts / total).sum()) if total > 0 else float(np.log(len(counts)))


def class_of_category(table_KC: Array) -> NDArray[np.int64]:
    """The most frequent class of every category, shape [K]."""
    most_frequent: NDArray[np.int64] = table_KC.argmax(axis=1)
    return most_frequent


def prior_rmse(table_KC: Array, prior_K: Array, class_distribution_C: Array) -> float:
    """Root mean square error of the prior, carried over to classes, against the true class distribution.

    Each category goes to its most frequent class; priors of categories that share a class add up.
    """
    learned_C = np.bincount(class_of_category(table_KC), weights=prior_K, minlength=len(class_distribution_C))
    return float(np.sqrt(np.mean((learned_C - class_distribution_C) ** 2)))


def entropy(p_K: Array) -> float:
    """Shannon entropy −Σ_k p_k log p_k in nats, with 0·log 0 = 0."""
    return float(entr(p_K).sum())


def q_entropy(q_NK: Array) -> float:
    """Mean entropy of Q(c|x), in nats."""
    return float(entr(q_NK).sum(axis=1).mean())


def q_mutual_information(q_NK: Array) -> float:
    """Entropy of the mean of Q(c|x) minus its mean entropy, in nats: I(x; c) under Q."""
    return float(entr(q_NK.mean(axis=0)).sum()) - q_entropy(q_NK)


def total_variation(p_K: Array, q_K: Array) -> float:
    """Half the sum of absolute differences of two distributions, 0..1."""
    return float(np.abs(p_K - q_K).sum() / 2)


def agreement(first_N: NDArray[np.int64], second_N: NDArray[np.int64]) -> float:
    """Share of equal entries."""
    return float(np.mean(first_N == second_N))


_PAPER = "Ojha et al. 2020, arXiv 1910.01112, section 4"
_SHARE = (0.0, 1.0)
_NATS = (0.0, math.inf)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "nmi",
            lambda seen: nmi(seen.table_KC),
            "normalised mutual information of category and predicted class over generated images",
            direction="maximize", needs_labels=True, bounds=_SHARE, source=_PAPER, compared=True,
        ),
        Metric(
            "average_entropy",
            lambda seen: average_entropy(seen.table_KC),
            "mean entropy of a category's classes and of a class's categories over generated images",
            direction="minimize", needs_labels=True, unit="nats", bounds=_NATS, source=_PAPER, compared=True,
        ),
        Metric(
            "prior_rmse",
            lambda seen: prior_rmse(seen.table_KC, seen.prior_K, seen.class_distribution_C),
            "error of the prior, carried over to classes, against the true class distribution",
            direction="minimize", needs_labels=True, bounds=_SHARE, source=_PAPER, compared=True,
        ),
        Metric(
            "nmi_real",
            lambda seen: nmi(seen.real_table_KC),
            "normalised mutual information of argmax Q(c|x) and true class over held-out images",
            direction="maximize", needs_labels=True, bounds=_SHARE, source="nmi, on real images", compared=True,
        ),
        Metric(
            "posterior_rmse",
            lambda seen: prior_rmse(seen.table_KC, seen.posterior_K, seen.class_distribution_C),
            "prior_rmse with the mean of Q(c|x) over the training images in the prior's place",
            direction="minimize", needs_labels=True, bounds=_SHARE, source="prior_rmse, of the posterior",
        ),
        Metric(
            "augment_agreement",
            lambda seen: agreement(seen.q_NK.argmax(axis=1), seen.augmented_N),
            "share of training images whose category stays the same under a random transformation",
            direction="maximize", bounds=_SHARE, source="share of equal argmax Q(c|x) and argmax Q(c|δ(x))",
        ),
        Metric(
            "q_entropy",
            lambda seen: q_entropy(seen.q_NK),
            "mean entropy of Q(c|x) over the training images",
            direction="minimize", unit="nats", bounds=_NATS, source="Shannon 1948", shown=False,
        ),
        Metric(
            "q_mutual_information",
            lambda seen: q_mutual_information(seen.q_NK),
            "mutual information of training image and category under Q",
            direction="maximize", unit="nats", bounds=_NATS, source="Krause et al. 2010 (RIM)", shown=False,
        ),
        Metric(
            "prior_posterior_gap",
            lambda seen: total_variation(seen.prior_K, seen.posterior_K),
            "total variation distance of the prior and the mean of Q(c|x) over the training images",
            direction="minimize", bounds=_SHARE, source="half the sum of absolute differences", shown=False,
        ),
        Metric(
            "code_recovery",
            lambda seen: agreement(seen.categories_G, seen.recovered_G),
            "share of generated images whose argmax Q(c|x) is the category that they were made from",
            direction="maximize", bounds=_SHARE, source="share of equal entries",
        ),
        Metric(
            "prior_entropy",
            lambda seen: entropy(seen.prior_K),
            "entropy of the prior, which says whether it has collapsed",
            direction=None, unit="nats", bounds=_NATS, source="Shannon 1948", shown=False,
        ),
    )
}  # fmt: skip
