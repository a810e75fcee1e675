"""What one run of Ray is made of: the trials of a search, the second seeds of its finalists, its confirmations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eig_tune.cluster.tuner import TrialSpec, TrialStage
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import Policy
from eig_tune.hpo.trial import Trial
from eig_tune.reports.kept_evaluations import KeptEvaluations
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.reports.optuna_study import StudyFile
from eig_tune.reports.so_far import SoFar
from eig_tune.workflows.made_later import MadeLater


@dataclass(frozen=True)
class Part:
    """Trials of one event log: those of a search, the second seeds of its finalists, its confirmations, or fixed runs.

    Attributes:
        policy: what is tried, and how far.
        event_log: of these trials.
        spec_of: what a trial trains.
        mlflow_runs: writes the trials' MLflow runs.
        num_trials: how many there will be, about.
        steps: how many optimisation steps they will make, about.
        reports: further observers that catch up; they may read checkpoints that are deleted afterwards.
        on_complete: called when all trials of this part and of those before it have ended.
        later: makes what the trials train on while others run; None is the session's images.
    """

    policy: Policy
    event_log: EventLog
    spec_of: Callable[[Trial], TrialSpec]
    mlflow_runs: MlflowRuns
    num_trials: int
    steps: int
    reports: Sequence[StudyFile | KeptEvaluations | SoFar] = ()
    on_complete: Callable[[], None] = lambda: None
    later: MadeLater | None = None

    def stage(self, engine: Engine) -> TrialStage:
        """These trials, as what Ray runs."""
        if self.later is None:
            return TrialStage(engine, on_complete=self.on_complete, spec_of=self.spec_of)
        return TrialStage(engine, self.later.ready, self.on_complete, spec_of=self.spec_of, datasets=self.later.result)


class Together(Mapping[int, Trial]):
    """The trials of several event logs as one, all numbered from 0 on."""

    def __init__(self, parts: Sequence[Mapping[int, Trial]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __getitem__(self, index: int) -> Trial:
        for part in self._parts:
            if index < len(part):
                return part[index]
            index -= len(part)
        raise KeyError(index)
