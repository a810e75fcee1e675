"""Whether the place where a search is to run is fit for it. Every check is made, and all are told together."""

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eig_tune.cluster import node_probe
from eig_tune.cluster.auth import tokens_are_off
from eig_tune.cluster.connect import start_ray
from eig_tune.cluster.resources import Resources
from eig_tune.cluster.storage import Storage
from eig_tune.errors import ConfigError, EigTuneError, Problem, one_line
from eig_tune.home import missing_folders
from eig_tune.tracking import check_store, masked

logger = logging.getLogger(__name__)

# What a trial is made of; a difference may break it, or worse, change what it measures.
_LIBRARIES = ("eig-tune", "ray", "torch", "numpy", "scipy", "scikit-learn", "kornia", "pydantic", "pyarrow")
_PATIENCE_SECONDS = 60.0
_MOST_NAMED = 4
_DRIVER = "driver"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        found: what there is.
        problem: what is wrong and what to do about it; empty when nothing is.
        grave: a search cannot begin so; otherwise it begins with a warning.
    """

    name: str
    found: str
    problem: str = ""
    grave: bool = True


@dataclass(frozen=True)
class Place:
    """Where a search is to run, and what it is to have there.

    Attributes:
        address: of the Ray cluster; None is this machine.
        storage: where checkpoints are to lie.
    """

    address: str | None
    gpus: int | None
    cpus: int | None
    storage: Storage
    tracking_uri: str


@dataclass(frozen=True)
class Node:
    """A node of the cluster: what Ray promises of it, and what it says about itself (``node_probe.describe``).

    Attributes:
        silent: why it has not said anything.
    """

    id: str
    host: str
    cpus: int
    gpus: int
    said: dict[str, Any]
    silent: str


def examine(place: Place) -> list[Check]:
    """Make every check of the place; those of the nodes only if Ray is there."""
    store = _attempt("MLflow", masked(place.tracking_uri), lambda: check_store(place.tracking_uri))
    return [*_check_cluster(place), store]


def refuse_unfit(place: Place) -> None:
    """See that a search can begin there; a problem with which it can begin is logged as a warning.

    Raises:
        ConfigError: it cannot; every reason is in the message.
    """
    wrong = [check for check in examine(place) if check.problem]
    if grave := [check for check in wrong if check.grave]:
        where = f"the cluster at {place.address} is not fit for this"
        raise ConfigError(where, [Problem(check.name, check.problem) for check in grave])
    for check in wrong:
        logger.warning("%s: %s", check.name, check.problem)


def document(checks: Sequence[Check]) -> dict[str, Any]:
    """The checks for scripts."""
    return {"fit": fit(checks), "checks": [asdict(check) for check in checks]}


def fit(checks: Iterable[Check]) -> bool:
    """Whether nothing is wrong, not even a little."""
    return not any(check.problem for check in checks)


def _attempt(name: str, found: str, do: Callable[[], object]) -> Check:
    try:
        do()
    except EigTuneError as error:
        return Check(name, found, one_line(error))
    return Check(name, found)


def _check_cluster(place: Place) -> list[Check]:
    joined = _attempt("Ray", place.address or "this machine", lambda: start_ray(place.address, None))
    if joined.problem:
        return [joined]
    with _probe_in(place.storage) as probe:
        nodes = _ask(probe, with_gpus=place.gpus != 0)
        return [
            joined,
            _check_nodes(nodes),
            _attempt("resources", _promised(nodes), lambda: Resources.of_cluster(place.gpus, 1, place.cpus)),
            *([] if place.gpus == 0 else [_check_gpus(nodes)]),
            _check_versions(nodes),
            _check_storage(nodes, place.storage, probe),
            _check_token(nodes),
        ]


@dataclass(frozen=True)
class _Probe:
    """A folder in the storage where the driver and the nodes write a file each.

    Attributes:
        unwritable: why this machine cannot write there.
    """

    filesystem: Any
    folder: str
    unwritable: str


@contextmanager
def _probe_in(storage: Storage) -> Iterator[_Probe]:
    """Gone afterwards, with the folders above it that it has taken."""
    place, filesystem = storage.below(f".probe-{uuid.uuid4().hex}"), storage.filesystem
    folder, made = place.path, missing_folders(Path(storage.uri)) if storage.is_local else []
    unwritable = ""
    try:
        node_probe.write(filesystem, folder, _DRIVER)
    except OSError as error:
        unwritable = one_line(error)
    try:
        yield _Probe(filesystem, folder, unwritable)
    finally:
        with suppress(OSError):
            filesystem.delete_dir(folder)
            for above in made:
                above.rmdir()


def _ask(probe: _Probe, with_gpus: bool) -> list[Node]:
    """Let every node describe itself, all at once."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.cloudpickle.register_pickle_by_value(node_probe)
    # One call a process: what it does to its environment and to torch must not meet a trial.
    describe = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(node_probe.describe)
    alive = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        describe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            _LIBRARIES,
            probe.filesystem,
            probe.folder,
            _DRIVER,
            node["NodeID"],
            with_gpus and node["Resources"].get("GPU", 0) > 0,
        )
        for node in alive
    ]
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=_PATIENCE_SECONDS)
    return [_heard(node, answer if answer in answered else None) for node, answer in zip(alive, asked, strict=True)]


def _heard(node: dict[str, Any], answer: Any | None) -> Node:
    import ray

    said, silent = {}, f"has not answered within {_PATIENCE_SECONDS:.0f} s"
    if answer is not None:
        try:
            said, silent = ray.get(answer), ""
        except ray.exceptions.RayError as error:
            silent = one_line(getattr(error, "cause", None) or error)
    promised = node["Resources"]
    host = node["NodeManagerAddress"]
    return Node(node["NodeID"], host, int(promised.get("CPU", 0)), int(promised.get("GPU", 0)), said, silent)


def _check_nodes(nodes: Sequence[Node]) -> Check:
    count = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes on {len({node.host for node in nodes})} hosts"
    silent = [f"{node.host} {node.silent}" for node in nodes if node.silent]
    remedy = "look into Ray's logs there, or take the node out of the cluster"
    return Check("nodes", count, f"{_some(silent)}; {remedy}" if silent else "")


def _promised(nodes: Sequence[Node]) -> str:
    return f"{sum(node.cpus for node in nodes)} CPUs, {sum(node.gpus for node in nodes)} GPUs"


def _check_gpus(nodes: Sequence[Node]) -> Check:
    memory = [gib for node in nodes for gib in node.said.get("gpu_gib", [])]
    sizes = ", ".join(f"{memory.count(gib)} × {gib:.0f} GiB" for gib in sorted(set(memory), reverse=True))
    blind = [
        f"{node.host} promises {node.gpus} GPUs, of which torch sees {len(node.said['gpu_gib']) or 'none'}"
        for node in nodes
        if node.said and len(node.said["gpu_gib"]) < node.gpus
    ]
    remedy = "start Ray there with as many as there are (--num-gpus), or install the torch that fits the driver there"
    return Check("GPU memory", sizes or "no GPU", f"{_some(blind)}; {remedy}" if blind else "", grave=False)


def _check_versions(nodes: Sequence[Node]) -> Check:
    here = node_probe.versions(_LIBRARIES)
    other = [
        f"{node.host} has {name} {there or 'not installed'}, this machine {here[name]}"
        for node in nodes
        for name, there in node.said.get("versions", {}).items()
        if there != here[name]
    ]
    found = f"Python {here['python']}, eig-tune {here['eig-tune']}, Ray {here['ray']}, torch {here['torch']}"
    remedy = "install the same on every node, from requirements.lock or as one image"
    return Check("versions", found, f"{_some(other)}; {remedy}" if other else "")


def _check_storage(nodes: Sequence[Node], storage: Storage, probe: _Probe) -> Check:
    if probe.unwritable:
        problem = f"cannot be written from this machine ({probe.unwritable}); give another --storage"
        return Check("storage", storage.uri, problem)
    lost = [f"{node.host} {node.said['storage']}" for node in nodes if node.said.get("storage")]
    lost += [
        f"this machine does not see what {node.host} has written there"
        for node in nodes
        if node.said and not node.said["storage"] and not node_probe.is_there(probe.filesystem, probe.folder, node.id)
    ]
    remedy = f"give a --storage that all nodes have: s3://…, or a disk at the same path (it is {storage.uri} now)"
    return Check("storage", storage.uri, f"{_some(lost)}; {remedy}" if lost else "")


def _check_token(nodes: Sequence[Node]) -> Check:
    hosts = {node.host for node in nodes}
    if all(node.said["token"] for node in nodes if node.said):
        return Check("token", "Ray wants a token")
    if len(hosts) == 1:
        return Check("token", "none, on one host")
    if tokens_are_off():
        return Check("token", "none, as RAY_AUTH_MODE=disabled wants it")
    problem = (
        f"whoever reaches one of the {len(hosts)} hosts can run code on all; make a token by "
        "`ray get-auth-token --generate`, copy ~/.ray/auth_token to every host and start Ray anew, "
        "or set RAY_AUTH_MODE=disabled where the network is closed"
    )
    return Check("token", "none", problem, grave=False)


def _some(told: Sequence[str]) -> str:
    more = len(told) - _MOST_NAMED
    return ", ".join(told[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
