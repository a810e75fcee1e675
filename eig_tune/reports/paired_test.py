"""Whether a method differs from the reference: one number for each split, tested pairwise, corrected for all methods.

Runs on one split share its images, so that they are no independent witnesses: taken for such, they found a difference
where there was none in 11 % of tests at 5 %. What is independent is a split. Its difference is the mean over the seeds
that both methods have finished. Of these differences Student's paired t-test asks whether their mean is 0: tests by
ranks or signs cannot get below 0.06 with five splits. Simulated differences of seven kinds (from uniform to log-normal,
and in two lumps) kept its level from four splits on; with two or three, lumps passed for a difference in 15 % of
tables.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtr

FEWEST_SPLITS = 4
Cell = tuple[object, object]  # split, seed


def differences_of_splits(ours: Mapping[Cell, float], theirs: Mapping[Cell, float]) -> list[float]:
    """Of every split on which both have finished a run with the same seed: the mean of ours − theirs over these."""
    of_split: dict[object, list[float]] = defaultdict(list)
    for (split, seed), value in ours.items():
        if (split, seed) in theirs:
            of_split[split].append(value - theirs[split, seed])
    return [float(np.mean(differences)) for differences in of_split.values()]


def p_value(differences: Sequence[float]) -> float | None:
    """Two-sided p of the paired t-test; None where there are too few splits, or all have the same difference."""
    if len(differences) < FEWEST_SPLITS or np.ptp(differences) == 0:
        return None
    of_mean = float(np.std(differences, ddof=1)) / np.sqrt(len(differences))
    return float(2 * stdtr(len(differences) - 1, -abs(np.mean(differences)) / of_mean))


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """The p-values corrected for their number (Holm 1979): below 5 % is any of them in 5 % of tables at most, if no
    method differs. Those that are None stay so and do not count."""
    rising = sorted((p, name) for name, p in p_values.items() if p is not None)
    corrected: dict[str, float | None] = dict.fromkeys(p_values)
    most = 0.0
    for passed, (p, name) in enumerate(rising):
        most = max(most, min(1.0, (len(rising) - passed) * p))
        corrected[name] = most
    return corrected
