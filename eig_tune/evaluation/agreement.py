"""Choosing the number K of categories without labels: how far runs that differ in their seed alone agree.

Runs of a K that the images have groups for find the same groups; with another K each run splits or joins them in its
own way (clustering stability: von Luxburg 2010, arXiv 1007.1075). Agreement is the adjusted mutual information (Vinh
et al. 2010, JMLR 11), which is about 0 for chance whatever K is, so that different K can be compared.

Shape suffixes: R runs of one K, which differ in their seed, N images.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from eig_tune.evaluation.base import Array

RESAMPLES = 2000


def pairwise_agreement(assigned_RN: Sequence[NDArray[np.int64]]) -> Array:
    """Adjusted mutual information of the categories that each two runs have given the same images, [R, R].

    A run that gives all images one category agrees with none, 0: it has found nothing that could be agreed on. On the
    diagonal is 1.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    agreement_RR = np.eye(len(assigned_RN))
    for one, other in combinations(range(len(assigned_RN)), 2):
        first_N, second_N = assigned_RN[one], assigned_RN[other]
        found = min(len(np.unique(first_N)), len(np.unique(second_N))) > 1
        score = float(adjusted_mutual_info_score(first_N, second_N)) if found else 0.0
        agreement_RR[one, other] = agreement_RR[other, one] = score
    return agreement_RR


def mean_agreement(agreement_RR: Array) -> float:
    """Mean over all pairs of runs; NaN for fewer than two runs."""
    pairs = agreement_RR[np.triu_indices(len(agreement_RR), k=1)]
    return float(pairs.mean()) if len(pairs) else math.nan


def standard_error(agreement_RR: Array) -> float:
    """Jackknife standard error of the mean agreement over runs, because pairs with a run in common are not independent
    (Efron & Stein 1981); NaN for fewer than three runs."""
    runs = len(agreement_RR)
    if runs < 3:
        return math.nan
    left_out_R = [mean_agreement(np.delete(np.delete(agreement_RR, run, axis=0), run, axis=1)) for run in range(runs)]
    return float(np.sqrt((runs - 1) * np.var(left_out_R)))


def recommended(means: Mapping[int, float], errors: Mapping[int, float]) -> int | None:
    """The smallest K at a peak of agreement that is not below the highest peak by more than that one's standard error.

    A peak is no lower than the next smaller and the next larger K that were tried, so that the smallest and the largest
    are none: agreement that only falls, or only rises, has its best K elsewhere. Few categories agree easily, whatever
    is in the images, because there are few ways to split them; that is why the highest agreement alone will not do.

    Args:
        means: K to mean agreement; a K without one (NaN) is not recommended.
        errors: K to its standard error; one that is unknown (NaN) counts as 0.

    Returns:
        The K of the highest agreement where there is no peak; None when no K has an agreement.
    """
    known = {categories: means[categories] for categories in sorted(means) if not math.isnan(means[categories])}
    peaks = peaks_of(known) or [max(known, key=lambda categories: known[categories])] if known else []
    if not peaks:
        return None
    highest = max(peaks, key=lambda categories: known[categories])
    error = errors[highest] if not math.isnan(errors[highest]) else 0.0
    return min(categories for categories in peaks if known[categories] >= known[highest] - error)


def peaks_of(means: Mapping[int, float]) -> list[int]:
    """Every K whose agreement is no lower than that of the next smaller and of the next larger one.

    Args:
        means: K to mean agreement, from the smallest K to the largest.
    """
    tried = list(means)
    return [
        categories
        for before, categories, after in zip(tried, tried[1:], tried[2:], strict=False)
        if means[categories] >= max(means[before], means[after])
    ]


def certainty(agreement: Mapping[int, Array], resamples: int = RESAMPLES, seed: int = 0) -> dict[int, float]:
    """Share of bootstrap resamples of the runs in which each K is recommended.

    The runs of every K are drawn with replacement, at least two different ones; pairs of a run with itself do not
    count. The standard errors are those of all runs.

    Args:
        agreement: K to the agreement [R, R] of its runs; one with fewer than two runs is left out.
    """
    known = {categories: pairs_RR for categories, pairs_RR in agreement.items() if len(pairs_RR) > 1}
    errors = {categories: standard_error(pairs_RR) for categories, pairs_RR in known.items()}
    random = np.random.default_rng(seed)
    means = {categories: _resampled_means(pairs_RR, resamples, random) for categories, pairs_RR in known.items()}
    shares = dict.fromkeys(known, 0.0)
    for resample in range(resamples if known else 0):
        chosen = recommended({categories: float(of[resample]) for categories, of in means.items()}, errors)
        assert chosen is not None, "every K in it has an agreement"
        shares[chosen] += 1 / resamples
    return shares


def _resampled_means(agreement_RR: Array, resamples: int, random: np.random.Generator) -> Array:
    """Mean agreement of the pairs of different runs in each resample."""
    runs = len(agreement_RR)
    apart_RR = agreement_RR * (1 - np.eye(runs))
    means = list[float]()
    while len(means) < resamples:
        drawn_R = random.multinomial(runs, np.full(runs, 1 / runs)).astype(np.float64)
        pairs = drawn_R.sum() ** 2 - (drawn_R**2).sum()
        if pairs > 0:
            means.append(float(drawn_R @ apart_RR @ drawn_R / pairs))
    return np.array(means)
