"""How many trials run at once: counted while nodes come and go, and explained node by node."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eig_tune.cluster.resources import Resources
from eig_tune.errors import some
from eig_tune.processors import processors

_COUNT_EVERY_SECONDS = 1.0
_GIB = 2**30
_MORE_CPUS = (
    "start Ray there with more CPUs (`ray start --num-cpus`; EIG_WORKER_CPUS in docker/.env; `sbatch --cpus-per-task`)"
)
_MORE_MEMORY = "smaller networks or batches take less; a node with more memory takes more trials"


class Slots:
    """How many trials may run at once: follows the cluster, whose nodes come and go.

    Attributes:
        most: the largest number so far.
    """

    def __init__(self, given: Resources) -> None:
        self._given = given
        self._counted = -math.inf
        self._now = self.most = 0
        self.now()

    def now(self) -> int:
        """As many as there were within the last second; one if there are none, so that Ray waits for a node."""
        if time.monotonic() - self._counted > _COUNT_EVERY_SECONDS:
            self._now = max(1, self._given.slots(node.resources for node in nodes_of_cluster(None)))
            self._counted = time.monotonic()
            self.most = max(self.most, self._now)
        return self._now


@dataclass(frozen=True)
class ResourcesOfNode:
    """A node.

    Attributes:
        host: its address.
        resources: what it has, as Ray names it.
        why: what makes its CPUs fewer than the machine has; empty where nothing does, or nobody knows.
    """

    host: str
    resources: Mapping[str, float]
    why: str = ""


def nodes_of_cluster(address: str | None) -> list[ResourcesOfNode]:
    """Every node of the running cluster; None is a Ray of this machine alone."""
    import ray

    alive = [(node["NodeManagerAddress"], node["Resources"]) for node in ray.nodes() if node["Alive"]]
    if address is not None:
        return [ResourcesOfNode(host, resources) for host, resources in alive]
    return [ResourcesOfNode("this machine", resources, _why_fewer(resources)) for _, resources in alive]


def this_machine(gpus: int | None) -> ResourcesOfNode:
    """What a Ray of this machine would have, but for its memory.

    Args:
        gpus: as many as are asked for; None is all.
    """
    import torch

    there = {"CPU": float(processors().usable), "GPU": 0.0 if gpus == 0 else float(torch.cuda.device_count())}
    return ResourcesOfNode("this machine", there, _why_fewer(there))


def _why_fewer(resources: Mapping[str, float]) -> str:
    usable = processors()
    return f"; this process may use {usable}" if usable.limit and resources.get("CPU", 0) == usable.usable else ""


@dataclass(frozen=True)
class Explained:
    """How many trials run at once, node by node.

    Attributes:
        given: what the search may use, and what a trial takes.
        nodes: each node.
    """

    given: Resources
    nodes: Sequence[ResourcesOfNode]

    def __str__(self) -> str:
        """One line: how many, where, and what limits them."""
        there, total = sum(map(self._trials, self.nodes)), self.given.slots(node.resources for node in self.nodes)
        option = f"--cpus {self.given.cpus}" if self.given.gpus == 0 else f"--gpus {self.given.gpus}"
        if self.given.autoscale:
            return f"up to {total} by {option}, on nodes that the cluster starts for them; now {there or 'none'}"
        asked = f" by {option}, of" if total < there else ":"
        return f"{total or 'none'}{asked} {some(self._groups())}"

    def problems(self) -> list[str]:
        """What is idle for want of something else, node by node, each with its remedy."""
        most, there = self.given.most, sum(map(self._trials, self.nodes))
        enough = most is not None and there >= most
        if self.given.gpus == 0:
            found = [] if enough else [self._idle_cpus(node) for node in self.nodes]
        else:
            found = [self._shared_cpus(node) for node in self.nodes]
            found += [] if enough else [self._idle_gpus(node) for node in self.nodes]
        return [problem for problem in found if problem]

    def _trials(self, node: ResourcesOfNode) -> int:
        return min(self.given.room(node.resources).values())

    def _limit(self, node: ResourcesOfNode) -> str:
        """What a node has too little of for one trial more."""
        room = self.given.room(node.resources)
        return min(room, key=lambda what: room[what])

    def _groups(self) -> list[str]:
        """Nodes that are alike together, in the order of the first of them."""
        groups: dict[tuple[int, str], list[str]] = {}
        for node in self.nodes:
            groups.setdefault((self._trials(node), self._why(node)), []).append(node.host)
        return [
            f"{trials} on {hosts[0] if len(hosts) == 1 else f'each of {len(hosts)} nodes'} ({why})"
            for (trials, why), hosts in groups.items()
        ]

    def _why(self, node: ResourcesOfNode) -> str:
        """What limits the trials of a node."""
        has, limit, each = node.resources, self._limit(node), self.given.trials_per_gpu
        gpus = int(has.get("GPU", 0))
        if limit == "memory":
            return f"{_gib(has.get('memory', 0))} of memory, about {_gib(self.given.memory)} a trial"
        if limit == "CPUs":
            share = 1.0 if self.given.gpus == 0 else self.given.cpu_share
            shared = f"{share:.2g} a trial" if share < 1 else "one a trial"
            among = f"{_count(gpus, 'GPU')}, " if self.given.gpus != 0 else ""
            return f"{among}{_count(has.get('CPU', 0), 'CPU')}, {shared}{node.why}"
        shared = "one a trial" if each == 1 else f"{each} trials on each"
        return f"{_count(gpus, 'GPU')}, {shared}" if gpus else "no GPU"

    def _idle_gpus(self, node: ResourcesOfNode) -> str:
        gpus, trials = int(node.resources.get("GPU", 0)), self._trials(node)
        idle = gpus - math.ceil(trials / self.given.trials_per_gpu)  # Ray fills one GPU after the other
        if idle <= 0:
            return ""
        limit = self._limit(node)
        remedy = _MORE_MEMORY if limit == "memory" else _MORE_CPUS
        fewer = ", or give a smaller --trials-per-gpu" if self.given.trials_per_gpu > 1 else ""
        return f"{node.host}: {idle} of {gpus} GPUs idle for want of {limit} ({self._why(node)}); {remedy}{fewer}"

    def _shared_cpus(self, node: ResourcesOfNode) -> str:
        trials, cpus = self._trials(node), node.resources.get("CPU", 0)
        if trials <= cpus:
            return ""
        gpus = _count(int(node.resources.get("GPU", 0)), "GPU")
        return (
            f"{node.host}: {trials} trials on {gpus} share {_count(cpus, 'CPU')}, and the GPUs idle while their trials "
            f"wait for one; {_MORE_CPUS}"
        )

    def _idle_cpus(self, node: ResourcesOfNode) -> str:
        cpus = node.resources.get("CPU", 0)
        if self._limit(node) != "memory":
            return ""
        idle = int(cpus) - self._trials(node)
        return (
            f"{node.host}: {idle} of {_count(cpus, 'CPU')} idle for want of memory ({self._why(node)}); {_MORE_MEMORY}"
        )


def explain(given: Resources, nodes: Iterable[ResourcesOfNode], memory: int) -> Explained:
    """How many trials run at once on nodes.

    Args:
        given: what the search may use; see :meth:`Resources.shared_out` for what a trial takes of it.
        memory: bytes that a trial needs; 0 where nobody has counted.
    """
    listed = list(nodes)
    return Explained(given.shared_out([node.resources for node in listed], memory), listed)


def _count(number: float, what: str) -> str:
    return f"{number:.0f} {what}{'' if number == 1 else 's'}"


def _gib(size: float) -> str:
    return f"{size / _GIB:.1f} GiB"
