"""The metrics: one row of a table each, beside the formula that computes it.

To add one, write its formula and its row in ``METRICS`` here: directions, what needs labels, the columns of the
terminal, of comparisons and of the documentation follow from the row. A user's own is a row given from Python to
:func:`eig_tune.evaluation.registry.register_metric`.

Formulas are NumPy, float64 and pure functions. The paper's three come from a table of categories × classes (Ojha et
al., arXiv 1910.01112, section 4): ``table_KC[k, c]`` counts the images of category k that are of class c.

Shape suffixes: G generated images, M of which are compared with real ones, N images, K categories, C classes.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from eig_tune.evaluation.base import Array, Indices, Metric, Observations
from eig_tune.evaluation.frechet import frechet_distance


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


def neighbour_nmi(categories_G: Indices, nearest_M5: Indices, read_N: Indices, categories: int) -> float:
    """NMI of the category that an image was generated from and the category of the real images that look like it, 0..1.

    The latter is what Q reads in most of the five real images that are nearest to it; of equally many, the smallest
    number. A model whose images of a category look like real images of that category scores high, whatever Q says of
    the generated images themselves.

    Args:
        categories_G: the category of each generated image, of which the first M are looked at.
        nearest_M5: the real images nearest to each of them.
        read_N: argmax Q of the real images.
        categories: K.
    """
    near_M5 = read_N[nearest_M5]
    votes_MK = (near_M5[:, :, None] == np.arange(categories)).sum(axis=1)
    return nmi(category_table(categories_G[: len(near_M5)], votes_MK.argmax(axis=1), (categories, categories)))


def information_share(first_N: Indices, second_N: Indices, categories: int) -> float:
    """Mutual information of two readings of the same images over log K, 0..1: 1 where both agree and no category is
    more frequent than another."""
    joint_KK = category_table(first_N, second_N, (categories, categories)) / len(first_N)
    information = entr(joint_KK.sum(axis=0)).sum() + entr(joint_KK.sum(axis=1)).sum() - entr(joint_KK).sum()
    return float(np.clip(information / np.log(categories), 0, 1))


def label_free_score(seen: Observations) -> float:
    """(1 − total variation of the prior and the shares of argmax Q) · neighbour NMI, 0..1: high where categories look
    like real images of theirs, and the prior is what is found among the real images."""
    return (1 - total_variation(seen.prior_K, seen.shares)) * _neighbour_nmi(seen)


def _neighbour_nmi(seen: Observations) -> float:
    return neighbour_nmi(seen.categories_G, seen.nearest_M5, seen.read, len(seen.prior_K))


def classes_found(table_KC: Array) -> int:
    """How many classes are the most frequent one of some category."""
    return len(np.unique(class_of_category(table_KC)))


def rarest_recall(table_KC: Array, real_table_KC: Array, class_distribution_C: Array) -> float:
    """Share of the rarest class's real images that Q puts into a category whose generated images are of that class."""
    rarest = int(class_distribution_C.argmin())
    read_K = real_table_KC[:, rarest]
    return float(read_K[class_of_category(table_KC) == rarest].sum() / max(read_K.sum(), 1))


def agreement(first_N: Indices, second_N: Indices) -> float:
    """Share of equal entries."""
    return float(np.mean(first_N == second_N))


_PAPER = "Ojha et al. 2020, arXiv 1910.01112, section 4"
_SHARE = (0.0, 1.0)
_NATS = (0.0, math.inf)
# Measured on digits: such models were chosen by the metrics that name them.
_ONE_CATEGORY = "a model that puts all images into one category"
_EVEN_SPLIT = "any even and stable split of the images, whatever it is by"

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
            "classes_found",
            lambda seen: float(classes_found(seen.table_KC)),
            "classes that are the most frequent one of some category's generated images",
            direction="maximize", needs_labels=True, unit="classes", bounds=(0.0, math.inf), source="count",
        ),
        Metric(
            "rarest_recall",
            lambda seen: rarest_recall(seen.table_KC, seen.real_table_KC, seen.class_distribution_C),
            "share of the rarest class's held-out images that Q puts into a category which generates that class",
            direction="maximize", needs_labels=True, bounds=_SHARE, source="recall of the rarest class",
        ),
        Metric(
            "fid_classifier",
            lambda seen: frechet_distance(seen.generated, seen.real),
            "Fréchet distance of generated images, drawn by the prior, and training images, in the features of the "
            "evaluation classifier; no Inception network, so it compares models of one data set only",
            direction="minimize", needs_labels=True, bounds=(0.0, math.inf), source="Heusel et al. 2017 (FID)",
        ),
        Metric(
            "posterior_rmse",
            lambda seen: prior_rmse(seen.table_KC, seen.posterior_K, seen.class_distribution_C),
            "prior_rmse with the mean of Q(c|x) over the training images in the prior's place",
            direction="minimize", needs_labels=True, bounds=_SHARE, source="prior_rmse, of the posterior", shown=False,
        ),
        Metric(
            "augment_agreement",
            lambda seen: agreement(seen.read, seen.augmented),
            "share of training images whose category stays the same under a random transformation",
            direction="maximize", bounds=_SHARE, source="share of equal argmax Q(c|x) and argmax Q(c|δ(x))",
            shown=False, fooled_by=_ONE_CATEGORY, biased_by_categories=True,
        ),
        Metric(
            "neighbour_nmi",
            _neighbour_nmi,
            "normalised mutual information of a generated image's category and that of the real images nearest to it",
            direction="maximize", bounds=_SHARE, source="nmi, of argmax Q over five nearest images in random features",
            biased_by_categories=True,
        ),
        Metric(
            "prior_share_gap",
            lambda seen: total_variation(seen.prior_K, seen.shares),
            "total variation distance of the prior and the shares of argmax Q(c|x) among the training images",
            direction="minimize", bounds=_SHARE, source="half the sum of absolute differences",
            fooled_by=_ONE_CATEGORY, biased_by_categories=True,
        ),
        Metric(
            "augment_information",
            lambda seen: information_share(seen.read, seen.augmented, len(seen.prior_K)),
            "mutual information of a training image's category and that of the image under a random transformation, "
            "over log K",
            direction="maximize", bounds=_SHARE, source="Shannon 1948; after Ji et al. 2019 (IIC), arXiv 1807.06653",
            fooled_by=f"{_EVEN_SPLIT}; it sees Q alone, neither the generator nor the prior", biased_by_categories=True,
        ),
        Metric(
            "label_free_score",
            label_free_score,
            "(1 − prior_share_gap) · neighbour_nmi",
            direction="maximize", bounds=_SHARE, source="product of the two", biased_by_categories=True,
        ),
        Metric(
            "q_entropy",
            lambda seen: q_entropy(seen.q_NK),
            "mean entropy of Q(c|x) over the training images",
            direction="minimize", unit="nats", bounds=_NATS, source="Shannon 1948", shown=False,
            fooled_by=_ONE_CATEGORY, biased_by_categories=True,
        ),
        Metric(
            "q_mutual_information",
            lambda seen: q_mutual_information(seen.q_NK),
            "mutual information of training image and category under Q",
            direction="maximize", unit="nats", bounds=_NATS, source="Krause et al. 2010 (RIM)", shown=False,
            fooled_by=_EVEN_SPLIT, biased_by_categories=True,
        ),
        Metric(
            "prior_posterior_gap",
            lambda seen: total_variation(seen.prior_K, seen.posterior_K),
            "total variation distance of the prior and the mean of Q(c|x) over the training images",
            direction="minimize", bounds=_SHARE, source="half the sum of absolute differences", shown=False,
            fooled_by=_ONE_CATEGORY, biased_by_categories=True,
        ),
        Metric(
            "code_recovery",
            lambda seen: agreement(seen.categories_G, seen.recovered_G),
            "share of generated images whose argmax Q(c|x) is the category that they were made from",
            direction="maximize", bounds=_SHARE, source="share of equal entries",
            fooled_by="a generator and a Q that agree on a code which is in no real image", biased_by_categories=True,
        ),
        Metric(
            "prior_entropy",
            lambda seen: entropy(seen.prior_K),
            "entropy of the prior, which says whether it has collapsed",
            direction=None, unit="nats", bounds=_NATS, source="Shannon 1948", shown=False,
        ),
    )
}  # fmt: skip
