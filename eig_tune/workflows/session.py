"""What every kind of run of many trials needs: images, judge, Ray and the MLflow store, and Ray driving an engine."""

import logging
import platform
import subprocess
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import yaml

from eig_tune.cluster.connect import start_ray
from eig_tune.cluster.doctor import Place, refuse_unfit
from eig_tune.cluster.resources import Resources, Slots, check_this_machine
from eig_tune.cluster.storage import Storage, named_storage
from eig_tune.cluster.tuner import Runtime
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData
from eig_tune.errors import EigTuneError
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.trial import Trial
from eig_tune.paths import check_name
from eig_tune.stopping import Stop, leave_sigterm_alone
from eig_tune.tracking import SearchTracker, Store, check_store, is_local, local_uri, masked, open_store
from eig_tune.training.loop import TrialData
from eig_tune.workflows.prepare import prepare_classifier
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)

IMAGES = "images"  # the name of a search's only data set
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
class Session:
    """What the trials of one search need, ready: images with their evaluation classifier by name, MLflow, and with
    what they run."""

    search_id: str
    datasets: Mapping[str, TrialData]
    store: Store
    runtime: Runtime


def set_up(
    search_id: str,
    spec: SearchSpec,
    options: RunOptions,
    images: Mapping[str, ImageData],
    home: Home,
    view: View,
) -> Session:
    """Make ready what trials need; Ray starts while the store is opened and the evaluation classifier is trained.

    Args:
        images: by name; they differ in their training images only, so that one evaluation classifier serves them all.

    Raises:
        EigTuneError: it cannot be; nothing half-made is left behind.
    """
    stop, storage = options.stop, named_storage(options.storage, home.ray)
    _refuse_at_once(options, storage)
    with ThreadPoolExecutor(initializer=leave_sigterm_alone) as pool:
        own = search_id if options.resume else None
        opening = pool.submit(open_store, options.tracking_uri, options.name, home.path, own)

        def train_when_opened() -> TrialData:
            opening.result()  # where MLflow refuses, nothing is trained
            return prepare_classifier(spec, next(iter(images.values())), home, view, stop.check)

        training = pool.submit(train_when_opened)
        # In this thread, because the kernel ends Ray's processes together with the thread that started them.
        start_ray(options.address, options.cpus)
        given = Resources.of_cluster(options.gpus, options.trials_per_gpu or 1, options.cpus)
        classifier, store = training.result().classifier, opening.result()
    datasets = {name: TrialData(these, classifier) for name, these in images.items()}
    if options.trials_per_gpu is None:
        trials = as_many_as_fit(spec, next(iter(datasets.values())), given)
        given = replace(given, trials_per_gpu=trials)
    runtime = Runtime(given, Slots(given), storage.below(options.name, search_id), stop)
    return Session(search_id, datasets, store, runtime)


def shared_places(options: RunOptions, home: Home) -> list[str]:
    """Where a search writes outside of its home, so that a copy of the home would write there too."""
    storage = named_storage(options.storage, home.ray)
    checkpoints = [] if storage.is_local and Path(storage.uri).is_relative_to(home.path) else [storage.uri]
    runs = [] if options.tracking_uri == local_uri(home.path) else [masked(options.tracking_uri)]
    return [*checkpoints, *runs]


def _refuse_at_once(options: RunOptions, storage: Storage) -> None:
    """See that what is asked for is there, before anything is made; joining a cluster takes no time."""
    if options.address is None:
        check_this_machine(options.gpus, options.cpus)
        if not is_local(options.tracking_uri):
            check_store(options.tracking_uri)
        storage.check()
    else:
        refuse_unfit(Place(options.address, options.gpus, options.cpus, storage, options.tracking_uri))


def as_many_as_fit(spec: SearchSpec, data: TrialData, given: Resources) -> int:
    """How many trials shall share a GPU, measured on the first that Ray gives; logs what was measured."""
    from eig_tune.cluster.gpu_memory import measure_on_cluster

    need = measure_on_cluster(spec, data) if given.device == "cuda" else None
    if need is None:
        why = "there is no GPU" if given.device == "cpu" else "PyTorch sees no GPU where Ray has one"
        logger.info("--trials-per-gpu auto: 1, because %s", why)
        return 1
    logger.info(
        "--trials-per-gpu auto: %d; the largest trial takes %s of the %s of a %s",
        need.trials,
        _gigabytes(need.reserved + need.context),
        _gigabytes(need.total),
        need.device,
    )
    return need.trials


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def log_moved_runs(session: Session, tracker: SearchTracker, event_log: EventLog) -> None:
    """Log what became of the search's runs in MLflow since it was stopped."""
    notices = [*session.store.notices]
    if tracker.is_new and event_log.trials:
        where = masked(session.store.uri)
        notices.append(f"MLflow: {where} does not have this search; all that its event log has is written there now")
    for line in notices:
        logger.info("%s", line)


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


def tidy(session: Session, wanted: Collection[str], home: Home) -> DiskUse:
    """Delete every checkpoint that nobody wants, those of processes that were killed too; how much is left."""
    try:
        session.runtime.storage.clear(wanted)
        checkpoints: int | None = session.runtime.storage.size()
    except OSError:
        checkpoints = None
    name = session.store.name
    kept = sum(Storage(str(folder)).size() for folder in (home.study(name), home.artifacts(name)))
    return DiskUse(session.runtime.storage.uri, checkpoints, kept)


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
