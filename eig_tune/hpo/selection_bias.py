"""Found against confirmed: how much of what a search has found was luck.

The best of many noisy trials is partly the luckiest, so that on fresh seeds it reaches less (the winner's curse; in
model selection: Cawley & Talbot 2010, JMLR 11, section 5).

n trials are confirmed. Trial i was found at f_i, the mean of m_i seeds (2 with a second seed, else 1), and confirmed on
k_i fresh seeds with mean c_i and standard deviation s_i. The selection bias is

    D = (1/n) Σ_i (f_i − c_i)

The seeds of a trial differ by luck alone, about equally in all trials. Its variance is estimated from the fresh seeds,
which nobody has chosen, pooled within trials as in an analysis of variance (Snedecor & Cochran 1989, *Statistical
Methods*, chapters 6 and 12), and D's standard error follows from it:

    s² = Σ_i (k_i − 1) s_i² / ν        ν = Σ_i (k_i − 1)
    SE(D)² = (s² / n²) Σ_i (1/k_i + 1/m_i)

D ± t SE(D), with the 97.5 % point t of Student's distribution with ν degrees of freedom, is the 95 % interval: where
it holds 0, what was found is no higher than luck of a fair draw would have it. Two cases differ:

- One fresh seed for each trial leaves ν = 0. Then the differences d_i = f_i − c_i are themselves the sample (Student's
  paired test): SE(D) is their standard deviation divided by √n, with n − 1 degrees of freedom; none for a single trial.
- Runs on one imbalance split share their images, so that splits and not seeds are the independent sample
  (:mod:`eig_tune.reports.paired_test`), the same one for all trials. What was found comes from one split. With S splits
  SE(D)² = s² (1/S + 1), with S − 1 degrees of freedom: a little too wide, since s² holds the luck of seeds as well.
  D is then the difference between splits too, not the search's luck alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import stdtrit

from eig_tune.hpo.objectives import Metrics

_UPPER = 0.975  # of Student's distribution, for an interval of 95 %


class Compared(Protocol):
    """A confirmed trial, from wherever it is read."""

    @property
    def second(self) -> Metrics: ...

    @property
    def found(self) -> Metrics: ...

    @property
    def confirmed(self) -> Metrics: ...

    @property
    def confirmed_deviations(self) -> Metrics: ...

    @property
    def runs(self) -> int:
        """Runs that have confirmed it."""

    @property
    def splits(self) -> int:
        """Imbalances on which they were trained; 0 where that is the search's own one."""


@dataclass(frozen=True)
class SelectionBias:
    """How much better a metric was found than confirmed, on average; in the metric's own sign.

    Attributes:
        found: mean of what the trials were found at.
        confirmed: mean of what they were confirmed at.
        error: standard error of the difference; None where there are too few runs to tell.
        freedom: degrees of freedom of that error.
        trials: over how many trials.
    """

    found: float
    confirmed: float
    error: float | None
    freedom: int
    trials: int

    @property
    def difference(self) -> float:
        """Found minus confirmed."""
        return self.found - self.confirmed

    @property
    def interval(self) -> tuple[float, float] | None:
        """In which the difference lies with a confidence of 95 %; None where there is no error."""
        if self.error is None:
            return None
        half = float(stdtrit(self.freedom, _UPPER)) * self.error
        return self.difference - half, self.difference + half


def selection_bias(confirmed: Sequence[Compared], metric: str) -> SelectionBias | None:
    """Found against confirmed; see the top of this file for the formula.

    Args:
        confirmed: finished trials; those that are not confirmed, or lack the metric, do not count.
        metric: name of a metric.

    Returns:
        None where no trial counts.
    """
    counted = [trial for trial in confirmed if metric in trial.confirmed and metric in trial.found]
    if not counted:
        return None
    found, reached = [trial.found[metric] for trial in counted], [trial.confirmed[metric] for trial in counted]
    error, freedom = _error(counted, metric, np.subtract(found, reached).tolist())
    return SelectionBias(float(np.mean(found)), float(np.mean(reached)), error, freedom, len(counted))


def _error(counted: Sequence[Compared], metric: str, differences: Sequence[float]) -> tuple[float | None, int]:
    """Standard error of the mean difference, and its degrees of freedom."""
    within, splits, n = sum(trial.runs - 1 for trial in counted), counted[0].splits, len(counted)
    squares = sum((trial.runs - 1) * trial.confirmed_deviations.get(metric, 0.0) ** 2 for trial in counted)
    if splits:
        return (math.sqrt(squares / within * (1 / splits + 1)), splits - 1) if splits > 1 else (None, 0)
    if within:
        shares = sum(1 / trial.runs + (0.5 if trial.second else 1.0) for trial in counted)
        return math.sqrt(squares / within * shares) / n, within
    return (float(np.std(differences, ddof=1)) / math.sqrt(n), n - 1) if n > 1 else (None, 0)
