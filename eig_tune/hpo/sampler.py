"""Optuna as the source of new trials, told only what can be compared.

A value reached at 500 steps says little about one reached at 3,000, so there is one study per rung, and a new
trial is drawn from the study of the highest rung that has seen enough trials (as BOHB does: Falkner et al.,
arXiv 1807.01774). A trial that ended before a rung is not in that rung's study at all.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial
from scipy.stats.qmc import Sobol

from eig_tune.config.conditions import draw
from eig_tune.config.distributions import Distribution
from eig_tune.config.space import SamplerKind
from eig_tune.hpo import pareto
from eig_tune.training.config import Value

ENOUGH = 8
_POPULATION = 16
# A proposal of TPE takes 6 ms when it has seen a thousand results and 50 ms when it has seen ten thousand, and more
# beside the thread that writes to MLflow.
MOST = 1_000


class Sampler:
    """Proposes values for new trials.

    Args:
        space: the searched parameters.
        fixed: every other field by its flat name, for conditions.
        objectives: how many losses a trial has, all to be minimised.
        rungs: steps at which trials are compared, the full budget included.
        start_from: points to try first.
        seed: the same seed and the same results give the same proposals.
        kind: TPE, which begins with quasi-random points; NSGA-II; or points that learn from nothing.
    """

    def __init__(
        self,
        space: Mapping[str, Distribution],
        fixed: Mapping[str, Any],
        objectives: int,
        rungs: Sequence[int],
        start_from: Sequence[Mapping[str, Value]],
        seed: int,
        kind: SamplerKind = "tpe",
    ) -> None:
        self._space = dict(space)
        self._fixed = dict(fixed)
        self._start_from = start_from
        self._seed = seed
        self._kind = kind
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._studies = {rung: optuna.create_study(directions=["minimize"] * objectives) for rung in rungs}
        self._seen = dict.fromkeys(rungs, 0)
        self._asked: dict[int, tuple[int, int]] = {}

    def propose(self, number: int) -> dict[str, Value]:
        """Values for trial ``number``, which counts as running until it is observed or abandoned."""
        rung = self._rung_to_learn_from()
        study = self._studies[rung]
        study.sampler = self._optuna_sampler(number)
        if number < len(self._start_from):
            study.enqueue_trial(dict(self._start_from[number]))
        elif self._kind == "quasi-random" or (self._kind == "tpe" and sum(self._seen.values()) < ENOUGH):
            study.enqueue_trial(self._quasi_random(number))
        trial = study.ask()
        self._asked[number] = (rung, trial.number)
        return draw(trial, self._space, self._fixed)

    def observe(self, number: int, rung: int, values: Mapping[str, Value], losses: Sequence[float]) -> None:
        """Trial ``number`` with ``values`` has reached ``losses`` at ``rung``."""
        if self._kind == "tpe" and len(self._studies[rung].get_trials(deepcopy=False)) >= MOST:
            self._forget(rung)
        study = self._studies[rung]
        asked_at, optuna_number = self._asked.get(number, (None, -1))
        self._seen[rung] += 1
        if asked_at == rung:
            study.tell(optuna_number, list(losses))
            del self._asked[number]
        else:
            study.add_trial(
                create_trial(params=dict(values), distributions=self._distributions(values), values=list(losses))
            )

    def abandon(self, number: int) -> None:
        """Trial ``number`` does not run any more."""
        if number in self._asked:
            rung, optuna_number = self._asked.pop(number)
            self._studies[rung].tell(optuna_number, state=TrialState.FAIL)

    def _forget(self, rung: int) -> None:
        """Keep of a rung's study a quarter of ``MOST`` that are best, as many that are newest, and what runs."""
        trials = self._studies[rung].get_trials(deepcopy=False)
        told = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        best_first = pareto.order(np.array([trial.values for trial in told])).tolist()
        kept = {told[index].number for index in best_first[: MOST // 4]}
        kept |= {trial.number for trial in told[-MOST // 4 :]}
        kept |= {trial.number for trial in trials if trial.state == TrialState.RUNNING}
        study = optuna.create_study(directions=self._studies[rung].directions)
        study.add_trials([trial for trial in trials if trial.number in kept])
        self._studies[rung] = study
        renumbered = {old: new for new, old in enumerate(sorted(kept))}
        self._asked = {n: (r, renumbered[o] if r == rung else o) for n, (r, o) in self._asked.items()}

    def _quasi_random(self, number: int) -> dict[str, Value]:
        """Point ``number`` of a scrambled Sobol sequence (Owen 1998): spread more evenly than random points."""
        sequence = Sobol(len(self._space), scramble=True, rng=np.random.default_rng(self._seed))
        if number:  # SciPy cannot go forward by nothing
            sequence.fast_forward(number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that one point alone is not balanced
            (quantiles,) = sequence.random(1)
        return {name: space.at(q) for (name, space), q in zip(self._space.items(), quantiles.tolist(), strict=True)}

    def _rung_to_learn_from(self) -> int:
        if self._kind == "nsga2":
            return min(self._studies)  # a generation must stay together
        ready = [rung for rung, seen in self._seen.items() if seen >= ENOUGH]
        return max(ready, default=min(self._studies))

    def _optuna_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """A sampler whose random numbers depend on the trial's number only, so that a resume changes nothing."""
        digest = hashlib.sha256(f"{self._seed}/{number}".encode()).digest()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            seed = int.from_bytes(digest[:4], "big")
            if self._kind == "nsga2":
                return optuna.samplers.NSGAIISampler(population_size=_POPULATION, seed=seed)
            if self._kind == "random":
                return optuna.samplers.RandomSampler(seed=seed)
            return optuna.samplers.TPESampler(
                n_startup_trials=ENOUGH, multivariate=True, group=True, constant_liar=True, seed=seed
            )

    def _distributions(self, values: Mapping[str, Value]) -> dict[str, BaseDistribution]:
        return {name: self._space[name].for_optuna() for name in values}
