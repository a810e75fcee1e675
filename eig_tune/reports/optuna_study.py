"""The search as an Optuna study in a file, for optuna-dashboard and Optuna's own plots.

It is written as trials end and never read by the search itself, which has one study per rung.
"""

import os
import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from eig_tune.config.constraints import Constraints, written
from eig_tune.config.space import SearchSpec
from eig_tune.hpo.objectives import Metrics
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.optuna_log import log_only_errors
from eig_tune.hpo.sampler import constraint_attrs
from eig_tune.hpo.trial import Trial
from eig_tune.training.config import ParamValue

_CONSTRAINED = (TrialState.COMPLETE, TrialState.PRUNED)
_STATES = {
    "running": TrialState.RUNNING,
    "paused": TrialState.RUNNING,
    "finished": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "collapsed": TrialState.FAIL,
    "failed": TrialState.FAIL,
}


# User attributes of a study: metric to bound, and how Optuna's numbers and the search's belong together.
_CONSTRAINTS, _NUMBERS = "constraints", "numbers"
_NUMBERS_IN_WORDS = "Optuna numbers trials as they end; the number that eig-tune gives is the user attribute `trial`"


def _kept(spec: SearchSpec) -> dict[str, object]:
    """What a study's trials depend on, as its user attributes."""
    return {
        _CONSTRAINTS: written(spec.constraints),
        "objectives": dict(spec.objectives),
        "search": {name: str(distribution) for name, distribution in spec.search.items()},
        "steps": spec.train.steps,
    }


class StudyFile(Observer):
    """An observer of the engine that adds every ended trial to the study, so that none stays RUNNING there for ever.

    Optuna numbers the trials in the order in which they end; the study says so, and each has its number in the search
    in its user attribute ``trial``. A trial that was stopped early is PRUNED and one that collapsed or crashed FAIL, so
    neither has values; their last metrics are among their user attributes.

    Args:
        file: of Optuna's journal storage; made when it does not exist.
        name: the study's name.
        spec: the search.
    """

    def __init__(self, file: Path, name: str, spec: SearchSpec) -> None:
        self._spec = spec
        log_only_errors()
        _mend(file)
        self._study = _open(file, name, spec)
        kept = _kept(spec)
        if self._study.get_trials(deepcopy=False) and kept != {key: self._study.user_attrs.get(key) for key in kept}:
            # Optuna changes no trial that has ended; all trials are added again by catch_up.
            file.unlink()
            self._study = _open(file, name, spec)
        for key, value in {**kept, _NUMBERS: _NUMBERS_IN_WORDS}.items():
            if self._study.user_attrs.get(key) != value:
                self._study.set_user_attr(key, value)
        if self._study.metric_names is None:
            _name_metrics(self._study, spec.objectives)
        self._written = {trial.user_attrs["trial"] for trial in self._study.get_trials(deepcopy=False)}

    def catch_up(self, trials: Mapping[int, Trial]) -> None:
        """Add what an earlier process may not have added before it was killed."""
        for trial in trials.values():
            if trial.ended and trial.number not in self._written:
                self.trial_ended(trial)

    def trial_ended(self, trial: Trial) -> None:
        try:
            self._study.add_trial(as_optuna(trial, self._spec, self._spec.objectives))
        except RuntimeError as error:
            # Optuna reports a lost lock when the disk had no room for one.
            raise _first_cause(error) from error
        self._written.add(trial.number)


def _open(file: Path, name: str, spec: SearchSpec) -> optuna.Study:
    return optuna.create_study(
        study_name=name,
        storage=JournalStorage(JournalFileBackend(str(file))),
        directions=_directions(spec.objectives),
        load_if_exists=True,
    )


def as_optuna(trial: Trial, spec: SearchSpec, objectives: Iterable[str]) -> FrozenTrial:
    """The trial as Optuna's; only a finished one has values, and a finished or stopped one its constraints, which are
    met at 0 or less. Its attribute ``rung`` is None before the first rung."""
    state, last = _STATES[trial.status], trial.last
    metrics = dict(last.metrics) if last is not None else {}
    distributions = {name: found for name, value in trial.params.items() if (found := _around(name, value, spec))}
    return create_trial(
        state=state,
        params={name: trial.params[name] for name in distributions},
        distributions=distributions,
        values=[metrics[name] for name in objectives] if state == TrialState.COMPLETE else None,
        system_attrs=constraint_attrs(_excesses(metrics, spec.constraints)) if state in _CONSTRAINED else {},
        user_attrs={
            "trial": trial.number,
            "ray_trial_id": trial.ray_trial_id,
            "stop_reason": trial.reason,
            "step": last.step if last is not None else 0,
            "rung": trial.rung(spec.rungs()),
            **{f"reached.{name}": metrics[name] for name in (*objectives, *spec.constraints) if name in metrics},
        },
    )


def _around(name: str, value: ParamValue, spec: SearchSpec) -> BaseDistribution | None:
    """The distribution of a param, wide enough for a value of a trial from before the space was another one; None where
    there is no such distribution."""
    searched = spec.search.get(name)
    if searched is None:
        return None
    if searched.inside(value) is not None:
        return searched.for_optuna()
    optuna_s = searched.for_optuna()
    if not isinstance(optuna_s, FloatDistribution) or optuna_s.step or isinstance(value, str):
        return None
    if optuna_s.log and value <= 0:
        return None
    return FloatDistribution(min(optuna_s.low, value), max(optuna_s.high, value), log=optuna_s.log)


def _excesses(metrics: Metrics, constraints: Constraints) -> list[float]:
    """By how much each constraint is missed; none where there are no metrics."""
    return [bound.excess(metrics[name]) for name, bound in constraints.items() if name in metrics]


class _Shown(optuna.Study):
    """A study that gives its trials as they are: a plot of Optuna's has them copied up to five times."""

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        return super().get_trials(deepcopy=False, states=states)


def study_of(trials: Sequence[Trial], spec: SearchSpec, objectives: Mapping[str, str]) -> optuna.Study:
    """A study in memory of all trials of a search in their order, so that Optuna's numbers are the search's own.

    Args:
        trials: of the search.
        spec: the search.
        objectives: those of the search, or some of them.
    """
    log_only_errors()
    storage = InMemoryStorage()
    named = optuna.create_study(storage=storage, directions=_directions(objectives)).study_name
    study = _Shown(named, storage)
    _name_metrics(study, objectives)
    study.add_trials([as_optuna(trial, spec, objectives) for trial in trials])
    return study


def _directions(objectives: Mapping[str, str]) -> list[StudyDirection]:
    return [StudyDirection[direction.upper()] for direction in objectives.values()]


def _name_metrics(study: optuna.Study, objectives: Iterable[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))


def _first_cause(error: BaseException) -> BaseException:
    while error.__context__ is not None:
        error = error.__context__
    return error


def _mend(file: Path) -> None:
    """Remove what a killed writer leaves: a torn last line, and the lock, which only the event log's owner may hold."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for lock in file.parent.glob(f"{file.name}.lock*"):
        lock.unlink()
    if file.is_file():
        os.truncate(file, file.read_bytes().rfind(b"\n") + 1)
