"""Which categories look alike, and groups of such categories.

A model with more categories than there are classes gives some classes several categories. Groups put them together
again, without labels: by how often Q takes one category for another.

Shape suffixes: M generated images, 5 of the nearest real images of each, N training images, K categories.
"""

import numpy as np

from eig_tune.evaluation.base import Array, Indices

THRESHOLD = 0.05  # from which on two categories look alike
_SMALLEST = 1e-12  # of a probability: a category that Q never gives is like no other


def alike(categories_M: Indices, nearest_M5: Indices, q_NK: Array, q_augmented_NK: Array) -> Array:
    """How much two categories look alike, 0..1, symmetric [K, K]: 1 where Q takes one for the other as readily as for
    itself, and on the diagonal.

    The mean of :func:`similarity` of two tables of confusion: of the category that an image was generated from with
    Q(c|x) of the real images that look most like it, and of Q(c|x) with Q(c|δ(x)) on real images. Q of the generated
    image itself would say nothing: it is trained to tell these apart, and does, by traits that no real image has.

    Args:
        categories_M: the category that each of M images was generated from.
        nearest_M5: the training images that are nearest to each of these.
        q_NK: Q(c|x) of training images.
        q_augmented_NK: Q(c|δ(x)) of the same images under a random transformation δ each.
    """
    generated_KK = generated_confusion(categories_M, q_NK[nearest_M5].mean(axis=1))
    return (similarity(generated_KK) + similarity(real_confusion(q_NK, q_augmented_NK))) / 2


def generated_confusion(categories_M: Indices, q_MK: Array) -> Array:
    """Mean of the rows of ``q_MK`` over the images generated from each category [K, K]; 0 where there are none."""
    categories = q_MK.shape[1]
    sums_KK = np.zeros((categories, categories))
    np.add.at(sums_KK, categories_M, q_MK)
    counts_K = np.bincount(categories_M, minlength=categories)
    return sums_KK / np.maximum(counts_K, 1)[:, None]


def real_confusion(q_NK: Array, q_augmented_NK: Array) -> Array:
    """Mean of Q(k|x) Q(l|δ(x)) over training images, symmetric [K, K]: how often x is read as k where δ(x) is l."""
    joint_KK: Array = q_NK.T @ q_augmented_NK / len(q_NK)
    return (joint_KK + joint_KK.T) / 2


def similarity(confusion_KK: Array) -> Array:
    """Similarity of categories √(p_kl p_lk / (p_kk p_ll)) from a table of confusion p [K, K], 0..1, symmetric.

    It is the estimate of the similarity choice model (Shepard 1957; Luce 1963, Handbook of Mathematical Psychology 1,
    pp. 103-189), p_kl ∝ b_l η_kl, whose bias b drops out: a category does not look like others for being frequent, and
    rows need no normalisation.
    """
    diagonal_K = np.maximum(np.diag(confusion_KK), _SMALLEST)
    similarity_KK: Array = np.sqrt(confusion_KK * confusion_KK.T / np.outer(diagonal_K, diagonal_K))
    np.fill_diagonal(similarity_KK, 1.0)
    return np.minimum(similarity_KK, 1.0)


def merged(alike_KK: Array, groups: int | None = None) -> Indices:
    """The group of each category [K]; groups are numbered in the order of their first categories.

    Average linkage: the two groups whose categories look most alike, on average over all pairs of them, are joined, and
    again, until there are as many groups as asked for.

    Args:
        alike_KK: of :func:`alike`.
        groups: how many; None joins as long as the two look alike by :data:`THRESHOLD` or more.
    """
    categories = len(alike_KK)
    if groups is not None and groups >= categories:
        return np.arange(categories)
    from scipy.cluster.hierarchy import cut_tree, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(1 - alike_KK, checks=False), method="average")
    if groups is None:
        groups = categories - int((tree[:, 2] <= 1 - THRESHOLD).sum())
    return _numbered(cut_tree(tree, n_clusters=[groups]).ravel())


def _numbered(groups_K: Indices) -> Indices:
    """The same groups, numbered in the order in which they appear."""
    _, first, of_category = np.unique(groups_K, return_index=True, return_inverse=True)
    numbers: Indices = np.argsort(np.argsort(first))[of_category].astype(np.int64)
    return numbers
