"""What every kind of run of many trials needs: images, judge, Ray and the MLflow store, and Ray driving an engine."""

import platform
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from eig_tune.cluster.connect import start_ray
from eig_tune.cluster.doctor import Place, refuse_unfit
from eig_tune.cluster.resources import Resources, Slots, check_this_machine
from eig_tune.cluster.storage import Storage, named_storage, reason_of
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData
from eig_tune.errors import MEND_AND_RESUME, EigTuneError, StorageError, one_line
from eig_tune.home import Home
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.trial import Trial
from eig_tune.paths import check_name
from eig_tune.stopping import Stop, leave_sigterm_alone
from eig_tune.terminal.progress import Console, Terminal, in_words
from eig_tune.tracking import SearchTracker, Store, check_store, is_local, local_uri, masked, open_store
from eig_tune.training import TrainConfig
from eig_tune.training.loop import TrialData
from eig_tune.workflows.prepare import prepare_classifier

IMAGES = "images"  # the name of a search's only data set
_NOT_OF_A_DISK = (ConnectionError, TimeoutError)  # which are OSErrors as well
_LIBRARIES = ("eig-tune", "ray", "optuna", "mlflow", "torch", "torchvision", "kornia", "numpy", "scikit-learn")


@dataclass(frozen=True)
class RunOptions:
    """Where, with what and for how long trials run; none of it changes what is tried."""

    name: str
    tracking_uri: str
    gpus: int | None = None
    trials_per_gpu: int | None = 1  # None: as many as its memory takes
    cpus: int | None = None
    address: str | None = None
    storage: str | None = None
    resume: bool = False
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        check_name(self.name, "--name")
        if self.name == "Default":
            raise EigTuneError("--name: 'Default' is an experiment that MLflow has for other things; give another name")


@dataclass(frozen=True)
class Workplace:
    """Everything that the trials of one search need, ready: resources and slots, images with their judge by name,
    MLflow, and where its checkpoints lie."""

    search_id: str
    given: Resources
    slots: Slots
    datasets: Mapping[str, TrialData]
    store: Store
    storage: Storage
    stop: Stop


@dataclass(frozen=True)
class Order:
    """What a trial trains: a run, on the images of that name."""

    run: TrainConfig
    dataset: str


def set_up(
    search_id: str,
    spec: SearchSpec,
    options: RunOptions,
    images: Mapping[str, ImageData],
    home: Home,
    console: Console,
) -> Workplace:
    """Make the workplace of a search; Ray starts while the store is opened and the evaluation classifier is trained.

    Args:
        images: by name; they differ in their training images only, so that one evaluation classifier serves them all.

    Raises:
        EigTuneError: it cannot be; nothing half-made is left behind.
    """
    stop, storage = options.stop, named_storage(options.storage, home.ray)
    _refuse_at_once(options, storage, console)
    with ThreadPoolExecutor(initializer=leave_sigterm_alone) as pool:
        own = search_id if options.resume else None
        opening = pool.submit(open_store, options.tracking_uri, options.name, home.path, own)

        def train_when_opened() -> TrialData:
            opening.result()  # where MLflow refuses, nothing is trained
            return prepare_classifier(spec, next(iter(images.values())), home, console, stop.check)

        judging = pool.submit(train_when_opened)
        # In this thread, because the kernel ends Ray's processes together with the thread that started them.
        start_ray(options.address, options.cpus)
        given = Resources.of_cluster(options.gpus, options.trials_per_gpu or 1, options.cpus)
        classifier, store = judging.result().classifier, opening.result()
    datasets = {name: TrialData(these, classifier) for name, these in images.items()}
    if options.trials_per_gpu is None:
        trials = as_many_as_fit(spec, next(iter(datasets.values())), given, console)
        given = replace(given, trials_per_gpu=trials)
    place = storage.below(options.name, search_id)
    return Workplace(search_id, given, Slots(given), datasets, store, place, stop)


def shared_places(options: RunOptions, home: Home) -> list[str]:
    """Where a search writes outside of its home, so that a copy of the home would write there too."""
    storage = named_storage(options.storage, home.ray)
    checkpoints = [] if storage.is_local and Path(storage.uri).is_relative_to(home.path) else [storage.uri]
    runs = [] if options.tracking_uri == local_uri(home.path) else [masked(options.tracking_uri)]
    return [*checkpoints, *runs]


def _refuse_at_once(options: RunOptions, storage: Storage, console: Console) -> None:
    """See that what is asked for is there, before anything is made; joining a cluster takes no time."""
    if options.address is None:
        check_this_machine(options.gpus, options.cpus)
        if not is_local(options.tracking_uri):
            check_store(options.tracking_uri)
        storage.check()
    else:
        refuse_unfit(Place(options.address, options.gpus, options.cpus, storage, options.tracking_uri), console)


def as_many_as_fit(spec: SearchSpec, data: TrialData, given: Resources, console: Console) -> int:
    """How many trials shall share a GPU, measured on the first that Ray gives; says what was measured."""
    import ray

    from eig_tune.cluster.gpu_memory import Need, largest_runs, measure

    need: Need | None = None
    if given.device == "cuda":
        need = ray.get(ray.remote(measure).options(num_cpus=1, num_gpus=1).remote(largest_runs(spec), data))
    if need is None:
        why = "there is no GPU" if given.device == "cpu" else "PyTorch sees no GPU where Ray has one"
        console.print(f"--trials-per-gpu auto: 1, because {why}", highlight=False)
        return 1
    console.print(
        f"--trials-per-gpu auto: {need.trials}; the largest trial takes {in_words(need.reserved + need.context)} of "
        f"the {in_words(need.total)} of a {need.device}",
        highlight=False,
        soft_wrap=True,
    )
    return need.trials


def tell_of_runs(place: Workplace, tracker: SearchTracker, event_log: EventLog, console: Console) -> None:
    """What became of the search's runs in MLflow since it was stopped."""
    told = [*place.store.notices]
    if tracker.is_new and event_log.trials:
        where = masked(place.store.uri)
        told.append(f"MLflow: {where} does not have this search; all that its event log has is written there now")
    for line in told:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def run_trials(
    engine: Engine,
    place: Workplace,
    orders: Callable[[Trial], Order],
    terminal: Terminal,
) -> None:
    """Let Ray run the engine's trials until there are none left or the workplace's ``stop`` is asked for.

    Args:
        orders: what a trial trains.
        terminal: told several times a second that time goes by, and what a person has to know.

    Raises:
        StorageError: the disk is full, or the storage gone; the search can be resumed when that is mended.
    """
    if place.stop.asked:
        return
    try:
        _tuner(engine, place, orders, terminal).fit()
    except Exception as error:
        # Ray wraps what the engine raises, or hides it, by where in its loop that happens.
        if engine.halted is None and (not isinstance(error, OSError) or isinstance(error, _NOT_OF_A_DISK)):
            raise
        raise StorageError(engine.halted or _cannot_be_written(place.storage, error)) from error


def _tuner(engine: Engine, place: Workplace, orders: Callable[[Trial], Order], terminal: Terminal) -> Any:
    """Ray's Tuner, which asks the engine."""
    from ray import tune

    from eig_tune.cluster.adapters import EngineCallback, EngineScheduler, EngineSearcher, EngineStopper
    from eig_tune.cluster.trainable import EigTrainable

    storage, device = place.storage, place.given.device
    trainable = tune.with_parameters(EigTrainable, datasets=dict(place.datasets), storage=storage, device=device)
    searcher = EngineSearcher(engine, lambda trial: _trainable_config(orders(trial), trial), place.slots.now)
    return tune.Tuner(
        tune.with_resources(trainable, place.given.per_trial),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=EngineScheduler(engine, searcher),
            num_samples=-1,  # as many as the engine proposes
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=f"{time.strftime('%Y%m%d-%H%M%S')}",
            storage_path=storage.path,
            storage_filesystem=storage.filesystem,
            callbacks=[EngineCallback(engine, searcher, storage, device, terminal)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, checkpoint_at_end=False),
            # The engine decides who gets another try; Ray counts the death of one process more than once.
            failure_config=tune.FailureConfig(max_failures=0),
            stop=EngineStopper(place.stop),
            verbose=0,
        ),
    )


def _cannot_be_written(storage: Storage, error: Exception) -> str:
    """Ray makes a folder for each of its runs before the first trial."""
    told = reason_of(error) if isinstance(error, OSError) else one_line(error)
    return f"{storage.uri} cannot be written ({told}); {MEND_AND_RESUME}"


def _folder_name(trial: Any) -> str:
    """Ray's own would have all values in it, too long for a message."""
    return f"trial-{trial.trial_id}"


def _trainable_config(order: Order, trial: Trial) -> dict[str, Any]:
    return {"run": order.run.model_dump(mode="json"), "dataset": order.dataset, "checkpoint": trial.checkpoint}


@dataclass(frozen=True)
class DiskUse:
    """Bytes that a search takes: its checkpoints, and what it has left in the home.

    Attributes:
        checkpoints: those of trials that have not ended, or of which MLflow lacks something: while a search runs one
            for each of them, two while a newer one is being written. The checkpoint of any other trial is deleted,
            so that nothing is left of a search that is complete. None when the storage did not answer.
        kept: event log, study and curves; pictures and models too if MLflow's store is the home's own.
    """

    storage: str
    checkpoints: int | None
    kept: int


def tidy(place: Workplace, wanted: Collection[str], home: Home) -> DiskUse:
    """Delete every checkpoint that nobody wants, those of processes that were killed too; how much is left."""
    try:
        place.storage.clear(wanted)
        checkpoints: int | None = place.storage.size()
    except OSError:
        checkpoints = None
    name = place.store.name
    kept = sum(Storage(str(folder)).size() for folder in (home.study(name), home.artifacts(name)))
    return DiskUse(place.storage.uri, checkpoints, kept)


def provenance() -> dict[str, str]:
    """Versions and git commit, as tags."""
    versions = {f"version.{library}": version(library) for library in _LIBRARIES}
    return {**versions, "version.python": platform.python_version(), "git_commit": _git_commit()}


def write_spec(spec: SearchSpec, folder: Path) -> None:
    """The resolved space as YAML."""
    document = spec.model_dump(mode="json", exclude_none=True)
    (folder / "resolved_space.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def total(trials: Sequence[Trial], metric: str) -> float:
    """Sum of a reported quantity, such as ``train_seconds``, over all reports of all trials."""
    return sum(report.metrics[metric] for trial in trials for report in trial.reports.values())


def _git_commit() -> str:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"
