"""What trials need before they can run: Ray, MLflow's store, and images with their evaluation classifier."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from eig_tune.cluster.connect import own_ray_ends, start_ray
from eig_tune.cluster.doctor import Place, refuse_unfit
from eig_tune.cluster.resources import Resources, check_this_machine
from eig_tune.cluster.slots import Explained, Slots, explain, nodes_of_cluster, this_machine
from eig_tune.cluster.storage import Storage
from eig_tune.cluster.storage_address import named_storage
from eig_tune.cluster.tuner import Runtime
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData
from eig_tune.errors import ClusterError
from eig_tune.home import Home
from eig_tune.stopping import leave_sigterm_alone
from eig_tune.tracking import Store, check_store, is_local, open_store
from eig_tune.training.loop import TrialData
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.prepare import prepare_classifier
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """All that the trials of one search need.

    Attributes:
        datasets: images with their evaluation classifier, by name.
        store: where MLflow has the search's runs.
        runtime: with what trials run.
    """

    datasets: Mapping[str, TrialData]
    store: Store
    runtime: Runtime


def prepare_resources(
    search_id: str,
    spec: SearchSpec,
    options: RunOptions,
    images: Mapping[str, ImageData],
    home: Home,
    view: View,
) -> Prepared:
    """Open MLflow's store, start Ray and train the evaluation classifier, side by side.

    Args:
        search_id: of the search; its checkpoints lie in a folder of that name.
        spec: the search's space.
        options: where and with what trials run.
        images: by name; they differ in their training images only, so that one evaluation classifier serves them all.
        home: where everything of a home lies.
        view: shows how far the training of the classifier is.

    Raises:
        EigTuneError: something cannot be had; nothing half-made is left behind.
    """
    stop, storage = options.stop, named_storage(options.storage, home.ray)
    _check_available(options, storage)
    with ThreadPoolExecutor(initializer=leave_sigterm_alone) as executor:
        own = search_id if options.resume else None
        opening = executor.submit(open_store, options.tracking_uri, options.name, home.path, own)

        def train_when_opened() -> TrialData:
            opening.result()  # where MLflow refuses, nothing is trained
            return prepare_classifier(spec, next(iter(images.values())), home, view, stop.check)

        training = executor.submit(train_when_opened)
        # In this thread, because the kernel ends Ray's processes together with the thread that started them.
        start_ray(options.address, options.cpus)
        given = Resources.of_cluster(options.gpus, options.trials_per_gpu or 1, options.cpus, options.autoscale)
        classifier, store = training.result().classifier, opening.result()
    if options.address is not None:  # a process on another machine cannot map a file of this one
        images = {name: these.sent_whole() for name, these in images.items()}
    datasets = {name: TrialData(these, classifier) for name, these in images.items()}
    if options.trials_per_gpu is None:
        given = replace(given, trials_per_gpu=_as_many_as_fit(spec, next(iter(datasets.values())), given))
    given = _shared_out(spec, next(iter(images.values())), given, options.address)
    runtime = Runtime(given, Slots(given), storage.below(options.name, search_id), stop)
    return Prepared(datasets, store, runtime)


def _check_available(options: RunOptions, storage: Storage) -> None:
    """See that what is asked for is there, before anything is made; joining a cluster takes no time."""
    if options.address is None:
        if options.autoscale:
            raise ClusterError("--autoscale: this machine starts no nodes; give the --address of a cluster that does")
        check_this_machine(options.gpus, options.cpus)
        if not is_local(options.tracking_uri):
            check_store(options.tracking_uri)
        storage.check()
    else:
        asked = Place(options.address, options.gpus, options.cpus, storage, options.tracking_uri, options.autoscale)
        refuse_unfit(asked)


def _shared_out(spec: SearchSpec, images: ImageData, given: Resources, address: str | None) -> Resources:
    """The same with what a trial takes of the nodes that there are; logs how many run at once, and what is idle."""
    explained = explain(given, nodes_of_cluster(address), _memory(spec, images, given))
    logger.info("trials at once: %s", explained)
    return _warned(explained).given


def planned_slots(
    spec: SearchSpec,
    images: ImageData | None,
    gpus: int | None,
    trials_per_gpu: int,
    cpus: int | None,
    address: str | None,
) -> Explained:
    """How many trials of a search would run at once on the cluster at ``address``, or on this machine; logs what would
    be idle there.

    Args:
        spec: the search's space.
        images: None while they cannot be had.

    Raises:
        ClusterError: the cluster cannot be reached, or has less than is asked for.
    """
    if address is None:
        nodes = [this_machine(gpus)]
        given = Resources(gpus if nodes[0].resources.get("GPU") or gpus else 0, trials_per_gpu, cpus)
        return _warned(explain(given, nodes, 0))
    with own_ray_ends():
        start_ray(address, None)
        given = Resources.of_cluster(gpus, trials_per_gpu, cpus)
        memory = 0 if images is None else _memory(spec, images, given)
        return _warned(explain(given, nodes_of_cluster(address), memory))


def _warned(explained: Explained) -> Explained:
    """The same, after a warning of everything that is idle."""
    for problem in explained.problems():
        logger.warning("%s", problem)
    return explained


def _memory(spec: SearchSpec, images: ImageData, given: Resources) -> int:
    """Bytes of main memory that the largest trial of a space takes at least."""
    from eig_tune.cluster.gpu_memory import largest_runs
    from eig_tune.training.size import memory_of_a_trial

    return memory_of_a_trial(largest_runs(spec), images, given.device)


def _as_many_as_fit(spec: SearchSpec, data: TrialData, given: Resources) -> int:
    """How many trials shall share a GPU, measured on the first that Ray gives; logs what was measured."""
    from eig_tune.cluster.gpu_memory import measure_on_cluster

    need = measure_on_cluster(spec, data) if given.device == "cuda" else None
    if need is None:
        why = "there is no GPU" if given.device == "cpu" else "PyTorch sees no GPU where Ray has one"
        logger.info("--trials-per-gpu auto: 1, because %s", why)
        return 1
    logger.info(
        "--trials-per-gpu auto: %d; the largest trial takes %s of the %s of a %s%s",
        need.trials,
        _gigabytes(need.reserved + need.context),
        _gigabytes(need.total),
        need.device,
        "" if need.shared_by_mps else ", and without NVIDIA's MPS more trials only wait for each other",
    )
    return need.trials


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
