"""Proposals of new trials by Optuna, which learns only from results that can be compared.

A loss after 500 steps says little about one after 3,000. So there is one study for each rung, and a new trial is drawn
from the study of the highest rung that has seen enough trials, as in BOHB (Falkner et al. 2018, arXiv 1807.01774). A
trial that ended before a rung is not in that rung's study at all. In each study proposes the multi-objective
tree-structured Parzen estimator (Ozaki et al. 2020, MOTPE), after a start with scrambled Sobol points (Owen 1998); or
NSGA-II (Deb et al. 2002); or a sampler that learns from nothing.

A bound of the space's ``constraints`` holds for a trial's end, and is told to Optuna at every rung all the same: where
many trials meet it, they are preferred; where few do, those that come nearest are. Optuna adds up what a trial misses,
which therefore is told as a share of each bound.
"""

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.stats.qmc import Sobol

from eig_tune.config.conditions import draw
from eig_tune.config.space import SearchSpec
from eig_tune.hpo import pareto
from eig_tune.hpo.carried import as_searched_now
from eig_tune.hpo.optuna_log import log_only_errors
from eig_tune.training.config import ParamValue

Params = Mapping[str, ParamValue]
ExcessesOf = Callable[[FrozenTrial], Sequence[float]]
_CONSTRAINTS = "constraints"
ENOUGH = 8
_POPULATION = 16
# A proposal of TPE takes 4 ms when it has seen 250 results, 10 ms at a thousand and 50 ms at ten thousand. More than
# 500 have bettered no front (benchmarks/RESULTS.md).
MOST = 500


class Sampler(ABC):
    """What proposes the params of new trials."""

    @abstractmethod
    def propose(self, number: int) -> Params:
        """The params of trial ``number``, which counts as running until it is observed or abandoned."""

    def add(self, number: int, params: Params) -> None:
        """Trial ``number`` is to have these params; others may be left to the sampler."""

    def observe(
        self, number: int, rung: int, params: Params, losses: Sequence[float], excesses: Sequence[float] = ()
    ) -> None:
        """Learn that trial ``number`` with ``params`` has reached ``losses`` at ``rung``, and by how much it misses
        each constraint there; 0 or less where it meets it."""

    def abandon(self, number: int) -> None:
        """Trial ``number`` does not run any more."""


class OptunaSampler(Sampler):
    """One Optuna study for each rung of a search; the full budget counts as one.

    The same seed and the same results give the same proposals.

    Args:
        spec: the searched params, the points to try first, the rungs, the seed, and which of Optuna's samplers.
    """

    def __init__(self, spec: SearchSpec) -> None:
        self._space = spec.search
        self._distributions = {name: distribution.for_optuna() for name, distribution in spec.search.items()}
        self._fixed = spec.base_config().flat()
        self._start_from = spec.start_from
        self._seed = spec.seed
        self._kind = spec.sampler
        self._is_constrained = bool(spec.constraints)
        rungs = (*spec.rungs(), spec.train.steps)
        log_only_errors()
        self._studies = {rung: optuna.create_study(directions=["minimize"] * len(spec.objectives)) for rung in rungs}
        self._num_seen = dict.fromkeys(rungs, 0)
        self._added: dict[int, Params] = {}
        self._asked: dict[int, tuple[int, int]] = {}  # of a running trial: the rung, and its number in that study

    def propose(self, number: int) -> Params:
        rung = self._rung_to_learn_from()
        study = self._studies[rung]
        study.sampler = self._optuna_sampler(number, _known_excesses if self._is_constrained else None)
        if (point := self._point_without_learning(number)) is not None:
            study.enqueue_trial(dict(point))
        trial = study.ask()
        self._asked[number] = (rung, trial.number)
        return self.draw(trial)

    def add(self, number: int, params: Params) -> None:
        self._added[number] = params

    def draw(self, trial: optuna.Trial) -> Params:
        """Let Optuna draw every param whose condition holds for ``trial``."""
        return draw(trial, self._space, self._fixed)

    def observe(
        self, number: int, rung: int, params: Params, losses: Sequence[float], excesses: Sequence[float] = ()
    ) -> None:
        if self._kind == "tpe" and len(self._studies[rung].get_trials(deepcopy=False)) >= MOST:
            self._forget(rung)
        study = self._studies[rung]
        asked_at, optuna_number = self._asked.get(number, (None, -1))
        told = params if asked_at is not None else as_searched_now(params, self._space, self._fixed)
        if told is None:
            return  # the space was another one when it was proposed
        self._num_seen[rung] += 1
        if asked_at == rung:
            if excesses:
                study.sampler = self._optuna_sampler(number, lambda trial: excesses)
            study.tell(optuna_number, list(losses))
            del self._asked[number]
        else:
            distributions = {name: self._distributions[name] for name in told}
            study.add_trial(
                create_trial(
                    params=dict(told),
                    distributions=distributions,
                    values=list(losses),
                    system_attrs=constraint_attrs(excesses),
                )
            )

    def abandon(self, number: int) -> None:
        if number in self._asked:
            rung, optuna_number = self._asked.pop(number)
            self._studies[rung].tell(optuna_number, state=TrialState.FAIL)

    def _forget(self, rung: int) -> None:
        """Keep of a rung's study a quarter of ``MOST`` that are best, as many that are newest, and what runs."""
        trials = self._studies[rung].get_trials(deepcopy=False)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        best_first = pareto.order(np.array([trial.values for trial in complete])).tolist()
        best_first.sort(key=lambda index: sum(max(0.0, excess) for excess in _known_excesses(complete[index])))
        kept = {complete[index].number for index in best_first[: MOST // 4]}
        kept |= {trial.number for trial in complete[-MOST // 4 :]}
        kept |= {trial.number for trial in trials if trial.state == TrialState.RUNNING}
        study = optuna.create_study(directions=self._studies[rung].directions)
        study.add_trials([trial for trial in trials if trial.number in kept])
        self._studies[rung] = study
        renumbered = {old: new for new, old in enumerate(sorted(kept))}
        self._asked = {n: (r, renumbered[o] if r == rung else o) for n, (r, o) in self._asked.items()}

    def _point_without_learning(self, number: int) -> Params | None:
        """An added trial's, a start point, or one of the first quasi-random points; None when Optuna shall propose."""
        if number in self._added:
            return self._added[number]
        start = number - sum(added < number for added in self._added)
        if start < len(self._start_from):
            return self._start_from[start]
        if self._kind == "quasi-random" or (self._kind == "tpe" and sum(self._num_seen.values()) < ENOUGH):
            return self._quasi_random(number)
        return None

    def _quasi_random(self, number: int) -> Params:
        """Point ``number`` of a scrambled Sobol sequence: such points are spread more evenly than random ones."""
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
        ready = [rung for rung, num_seen in self._num_seen.items() if num_seen >= ENOUGH]
        return max(ready, default=min(self._studies))

    def _optuna_sampler(self, number: int, excesses_of: ExcessesOf | None) -> optuna.samplers.BaseSampler:
        """A sampler whose random numbers depend on the trial's number only, so that a resume changes nothing.

        Args:
            number: of the trial.
            excesses_of: asked once of every trial that is told, and also, by some versions, of those known already.
        """
        digest = hashlib.sha256(f"{self._seed}/{number}".encode()).digest()
        with warnings.catch_warnings():
            # Optuna 4 knows no other way to constraints, and Optuna 5 warns that Optuna 7 will not know this one.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("ignore", FutureWarning)
            seed = int.from_bytes(digest[:4], "big")
            if self._kind == "nsga2":
                return optuna.samplers.NSGAIISampler(
                    population_size=_POPULATION, constraints_func=excesses_of, seed=seed
                )
            if self._kind == "random":
                return optuna.samplers.RandomSampler(seed=seed)
            return optuna.samplers.TPESampler(
                n_startup_trials=ENOUGH,
                multivariate=True,
                group=True,
                constant_liar=True,
                constraints_func=excesses_of,
                seed=seed,
            )


def constraint_attrs(excesses: Sequence[float]) -> dict[str, list[float]]:
    """The system attributes in which Optuna 4 and 5 have the constraints of a trial that was told or added."""
    return {_CONSTRAINTS: list(excesses)} if excesses else {}


def _known_excesses(trial: FrozenTrial) -> Sequence[float]:
    return tuple(trial.system_attrs.get(_CONSTRAINTS, ()))
