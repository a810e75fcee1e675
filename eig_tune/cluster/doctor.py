"""Checks whether the place where a search is to run is fit for it; all are made, and all problems reported together."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eig_tune.cluster import node_probe
from eig_tune.cluster.auth import tokens_are_off
from eig_tune.cluster.connect import start_ray
from eig_tune.cluster.nodes import LIBRARIES, Node, SharedFiles, ask_nodes, shared_files
from eig_tune.cluster.resources import Resources
from eig_tune.cluster.slots import explain, nodes_of_cluster
from eig_tune.cluster.storage import Storage
from eig_tune.errors import ConfigError, EigTuneError, Problem, one_line, some
from eig_tune.tracking import check_store, masked

logger = logging.getLogger(__name__)

SLOTS = "trials at once"


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: what was checked.
        found: what there is.
        problem: what is wrong and what to do about it; empty when nothing is.
        grave: whether a search cannot begin with this problem; otherwise it begins with a warning.
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
        gpus: how many are asked for; None is all, and 0 the CPU.
        cpus: how many are asked for; None is all.
        storage: where checkpoints are to lie.
        tracking_uri: the MLflow store.
        autoscale: what is asked for need not be there, because the cluster starts nodes when trials wait for them.
    """

    address: str | None
    gpus: int | None
    cpus: int | None
    storage: Storage
    tracking_uri: str
    autoscale: bool = False


def examine(place: Place) -> list[Check]:
    """Make every check of the place; those of the nodes only if Ray is there."""
    store = _attempt("MLflow", masked(place.tracking_uri), lambda: check_store(place.tracking_uri))
    return [*_check_cluster(place), store]


def refuse_unfit(place: Place) -> None:
    """See that a search can begin there; a problem with which it can begin is logged as a warning.

    Raises:
        ConfigError: it cannot; every reason is in the message.
    """
    # How many trials run at once a search says itself, when it knows what a trial takes.
    wrong = [check for check in examine(place) if check.problem and check.name != SLOTS]
    if grave := [check for check in wrong if check.grave]:
        where = f"the cluster at {place.address} is not fit for this"
        raise ConfigError(where, [Problem(check.name, check.problem) for check in grave])
    for check in wrong:
        logger.warning("%s: %s", check.name, check.problem)


def document(checks: Sequence[Check]) -> dict[str, Any]:
    """The checks for scripts."""
    return {"fit": fit(checks), "checks": [asdict(check) for check in checks]}


def fit(checks: Iterable[Check]) -> bool:
    """Whether there is no problem, not even one with which a search can begin."""
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
    with shared_files(place.storage) as files:
        nodes = ask_nodes(files, with_gpus=place.gpus != 0)
        return [
            joined,
            _check_nodes(nodes),
            _attempt("resources", _in_all(nodes), lambda: _asked_for(place)),
            _check_slots(place),
            *([] if place.gpus == 0 else [_check_gpus(nodes)]),
            _check_versions(nodes),
            _check_storage(nodes, place.storage, files),
            _check_token(nodes),
        ]


def _check_nodes(nodes: Sequence[Node]) -> Check:
    count = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes on {len({node.host for node in nodes})} hosts"
    failed = [f"{node.host} {node.failure}" for node in nodes if node.failure]
    remedy = "look into Ray's logs there, or take the node out of the cluster"
    return Check("nodes", count, f"{some(failed)}; {remedy}" if failed else "")


def _in_all(nodes: Sequence[Node]) -> str:
    return f"{sum(node.cpus for node in nodes)} CPUs, {sum(node.gpus for node in nodes)} GPUs"


def _asked_for(place: Place) -> Resources:
    return Resources.of_cluster(place.gpus, 1, place.cpus, place.autoscale)


def _check_slots(place: Place) -> Check:
    """How many trials run at once where one has a GPU to itself, and what limits them."""
    try:
        asked = _asked_for(place)
    except EigTuneError:
        return Check(SLOTS, "fewer than asked for")
    explained = explain(asked, nodes_of_cluster(place.address), memory=0)
    return Check(SLOTS, str(explained), some(explained.problems()), grave=False)


def _check_gpus(nodes: Sequence[Node]) -> Check:
    memory = [gib for node in nodes for gib in node.description.get("gpu_gib", [])]
    sizes = ", ".join(f"{memory.count(gib)} × {gib:.0f} GiB" for gib in sorted(set(memory), reverse=True))
    unseen = [
        f"{node.host} has {node.gpus} GPUs for Ray, of which PyTorch sees {len(node.description['gpu_gib']) or 'none'}"
        for node in nodes
        if node.description and len(node.description["gpu_gib"]) < node.gpus
    ]
    remedy = "start Ray there with as many as there are (--num-gpus), or install the PyTorch that fits the driver there"
    return Check("GPU memory", sizes or "no GPU", f"{some(unseen)}; {remedy}" if unseen else "", grave=False)


def _check_versions(nodes: Sequence[Node]) -> Check:
    here = node_probe.versions(LIBRARIES)
    other = [
        f"{node.host} has {name} {there or 'not installed'}, this machine {here[name]}"
        for node in nodes
        for name, there in node.description.get("versions", {}).items()
        if there != here[name]
    ]
    found = f"Python {here['python']}, eig-tune {here['eig-tune']}, Ray {here['ray']}, torch {here['torch']}"
    remedy = "install the same on every node, from requirements.lock or as one image"
    return Check("versions", found, f"{some(other)}; {remedy}" if other else "")


def _check_storage(nodes: Sequence[Node], storage: Storage, files: SharedFiles) -> Check:
    if files.unwritable:
        problem = f"cannot be written from this machine ({files.unwritable}); give another --storage"
        return Check("storage", storage.uri, problem)
    wrong = [f"{node.host} {node.description['storage']}" for node in nodes if node.description.get("storage")]
    wrong += [
        f"this machine does not see what {node.host} has written there"
        for node in nodes
        if node.description and not node.description["storage"] and not files.has_file_of(node)
    ]
    remedy = f"give a --storage that all nodes have: s3://…, or a disk at the same path (it is {storage.uri} now)"
    return Check("storage", storage.uri, f"{some(wrong)}; {remedy}" if wrong else "")


def _check_token(nodes: Sequence[Node]) -> Check:
    hosts = {node.host for node in nodes}
    if all(node.description["token"] for node in nodes if node.description):
        return Check("token", "Ray asks for a token")
    if len(hosts) == 1:
        return Check("token", "none, on one host")
    if tokens_are_off():
        return Check("token", "none, as RAY_AUTH_MODE=disabled says")
    problem = (
        f"anyone with access to one of the {len(hosts)} hosts can run code on all of them; make a token by "
        "`ray get-auth-token --generate`, copy ~/.ray/auth_token to every host and start Ray anew, "
        "or set RAY_AUTH_MODE=disabled where the network is closed"
    )
    return Check("token", "none", problem, grave=False)
