"""Ray Tune runs the engine's trials."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from eig_tune.cluster.own_code import sent_by_value
from eig_tune.cluster.resources import Resources
from eig_tune.cluster.slots import Slots
from eig_tune.cluster.storage import Storage, reason_of
from eig_tune.errors import MEND_AND_RESUME, StorageError, one_line
from eig_tune.hpo.stages import Stage, Stages
from eig_tune.hpo.trial import Trial
from eig_tune.stopping import Stop
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData

_NOT_OF_A_DISK = (ConnectionError, TimeoutError)  # which are OSErrors as well


@dataclass(frozen=True)
class Runtime:
    """With what trials run, where their checkpoints lie, and when all of them stop.

    Attributes:
        slots: how many may run at once.
    """

    resources: Resources
    slots: Slots
    storage: Storage
    stop: Stop


@dataclass(frozen=True)
class TrialSpec:
    """What a trial trains: a run, on the images of the name ``dataset``."""

    run: TrainConfig
    dataset: str


@dataclass(frozen=True, kw_only=True)
class TrialStage(Stage):
    """A stage whose trials Ray can run.

    Attributes:
        spec_of: what a trial trains.
        datasets: makes its own images with their evaluation classifier, by name, when it is ready; None has those
            with which all begins.
    """

    spec_of: Callable[[Trial], TrialSpec]
    datasets: Callable[[], Mapping[str, TrialData]] | None = None


def run_trials(stages: Stages[TrialStage], datasets: Mapping[str, TrialData], runtime: Runtime) -> None:
    """Let Ray run the trials of all stages until there are none left or ``runtime.stop`` is asked for.

    The processes of trials live as long as this, so that they go from one stage to the next.

    Args:
        stages: propose trials and decide on their reports.
        datasets: images with their evaluation classifier, by name.
        runtime: with what trials run.

    Raises:
        StorageError: the disk is full, or the storage gone; the search can be resumed when that is mended.
    """
    if runtime.stop.asked:
        return
    from eig_tune.cluster.adapters import AllTrialsEndedError

    try:
        with sent_by_value(datasets.values()), suppress(AllTrialsEndedError):
            _tuner(stages, datasets, runtime).fit()
    except Exception as error:
        # Ray wraps what the engine raises, or hides it, by where in its loop that happens.
        if stages.halted is None and (not isinstance(error, OSError) or isinstance(error, _NOT_OF_A_DISK)):
            raise
        raise StorageError(stages.halted or _cannot_be_written(runtime.storage, error)) from error


def _tuner(stages: Stages[TrialStage], datasets: Mapping[str, TrialData], runtime: Runtime) -> Any:
    """Ray's Tuner, which asks the engines."""
    from ray import tune

    from eig_tune.cluster.adapters import EngineCallback, EngineScheduler, EngineSearcher, EngineStopper, SilentReporter
    from eig_tune.cluster.trainable import EigTrainable

    storage, device = runtime.storage, runtime.resources.device
    trainable = tune.with_parameters(EigTrainable, datasets=dict(datasets), storage=storage, device=device)
    searcher = EngineSearcher(stages, _Configs(), runtime.slots.now, runtime.stop)
    return tune.Tuner(
        tune.with_resources(trainable, runtime.resources.per_trial),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=EngineScheduler(searcher),
            num_samples=-1,  # as many as the engines propose
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=f"{time.strftime('%Y%m%d-%H%M%S')}",
            storage_path=storage.path,
            storage_filesystem=storage.filesystem,
            progress_reporter=SilentReporter(),
            callbacks=[EngineCallback(stages, searcher, storage, device, runtime.stop)],
            # The engine says at which reports there is one, through its callback.
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            # The engine decides which trial is tried again; Ray counts the loss of one process more than once.
            failure_config=tune.FailureConfig(max_failures=0),
            stop=EngineStopper(runtime.stop),
            verbose=0,
        ),
    )


def _cannot_be_written(storage: Storage, error: Exception) -> str:
    """Ray makes a folder for each of its runs before the first trial."""
    reason = reason_of(error) if isinstance(error, OSError) else one_line(error)
    return f"{storage.uri} cannot be written ({reason}); {MEND_AND_RESUME}"


def _folder_name(trial: Any) -> str:
    """Ray's own would have all params in it, too long for a message."""
    return f"trial-{trial.trial_id}"


class _Configs:
    """Makes what a trainable is given for a trial; puts the images of a stage into Ray's object store, once."""

    def __init__(self) -> None:
        self._stored: dict[TrialStage, Any] = {}

    def __call__(self, stage: TrialStage, trial: Trial) -> dict[str, Any]:
        spec = stage.spec_of(trial)
        return {
            "run": spec.run.model_dump(mode="json"),
            "dataset": spec.dataset,
            "datasets": self._reference(stage),
            "checkpoint": trial.checkpoint,
        }

    def _reference(self, stage: TrialStage) -> Any:
        import ray

        if stage.datasets is not None and stage not in self._stored:
            self._stored[stage] = ray.put(dict(stage.datasets()))
        return self._stored.get(stage)
