"""Which categories look alike, and groups of such categories.

A model with more categories than there are classes gives some classes several categories. Groups put them together
again, without labels: by how often Q takes one category for another, on generated and on real images.

Shape suffixes: G generated images, N training images, K categories.
"""

import numpy as np

from eig_tune.evaluation.base import Array, Indices

_SMALLEST = 1e-12  # of a probability: a category that Q never gives is like no other


def alike(generated_q_GK: Array, categories_G: Indices, q_NK: Array, q_augmented_NK: Array) -> Array:
    """How much two categories look alike, 0..1, symmetric [K, K]: 1 where Q takes one for the other as readily as for
    itself, and on the diagonal.

    The mean of :func:`similarity` of two tables of confusion: of the category that an image was generated from with
    Q(c|x), and of Q(c|x) with Q(c|δ(x)) on real images.

    Args:
        generated_q_GK: Q(c|x) of generated images.
        categories_G: the category that each was made from.
        q_NK: Q(c|x) of training images.
        q_augmented_NK: Q(c|δ(x)) of the same images under a random transformation δ each.
    """
    of_generated_KK = generated_confusion(generated_q_GK, categories_G)
    return (similarity(of_generated_KK) + similarity(real_confusion(q_NK, q_augmented_NK))) / 2


def generated_confusion(generated_q_GK: Array, categories_G: Indices) -> Array:
    """Mean Q(c|x) over the images generated from each category [K, K]; a row of zeros where there are none."""
    categories = generated_q_GK.shape[1]
    sums_KK = np.zeros((categories, categories))
    np.add.at(sums_KK, categories_G, generated_q_GK)
    counts_K = np.bincount(categories_G, minlength=categories)
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
