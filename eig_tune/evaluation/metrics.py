"""The metrics of the paper's comparison, from a table of categories × classes.

``table_KC[k, c]`` counts the images that were generated from category k and put into class c by the evaluation
classifier. Ojha et al. (arXiv 1910.01112, section 4): NMI, average entropy and the prior's RMSE. Everything
is NumPy, float64 and a pure function.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

Array = NDArray[np.float64]


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

    A class that no image was put into tells nothing about the category, so its column counts as uniform:
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
