"""How far generated images lie from real ones, as a whole: the Fréchet distance in an evaluation classifier's features.

Heusel et al. 2017 (arXiv 1706.08500, equation 6) with the classifier of the data set in place of the Inception network,
which knows photographs and no digits. So the distance compares models of one data set, and no published figures.

Shape suffixes: N images, F features.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureMoments:
    """Mean [F] and covariance [F, F] of the features of some images."""

    mean_F: Array
    covariance_FF: Array

    @classmethod
    def of(cls, features_NF: Array, weights_N: Array | None = None) -> "FeatureMoments":
        """Those of N images.

        Args:
            features_NF: of each image.
            weights_N: how much each image counts; their sum is not zero. None is all the same.
        """
        weights_N = np.ones(len(features_NF)) if weights_N is None else weights_N
        shares_N = weights_N / weights_N.sum()
        mean_F = shares_N @ features_NF
        centred_NF = features_NF - mean_F
        return cls(mean_F, (centred_NF * shares_N[:, None]).T @ centred_NF)


def frechet_distance(first: FeatureMoments, second: FeatureMoments) -> float:
    """|μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), the squared Fréchet distance of two normal distributions; 0 or more, NaN
    where there is one in the features."""
    if not all(np.isfinite(moments.covariance_FF).all() for moments in (first, second)):
        return math.nan  # of which LAPACK says that it does not converge
    values_F, vectors_FF = np.linalg.eigh(first.covariance_FF)
    root_FF = (vectors_FF * np.sqrt(values_F.clip(min=0))) @ vectors_FF.T
    # Σ₁ Σ₂ has the eigenvalues of this symmetric matrix, for which they are real and exact.
    common_F = np.linalg.eigvalsh(root_FF @ second.covariance_FF @ root_FF)
    apart = float(((first.mean_F - second.mean_F) ** 2).sum())
    traces = float(np.trace(first.covariance_FF) + np.trace(second.covariance_FF))
    return max(0.0, apart + traces - 2 * float(np.sqrt(common_F.clip(min=0)).sum()))
