"""What a search may use of a cluster, and what one trial takes of it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from eig_tune.errors import ClusterError
from eig_tune.processors import processors

#: Less of a CPU than this no trial on a GPU is given: its process would hardly keep any GPU busy.
LEAST_CPU = 0.25
_RAYS_PARTS = 10_000  # Ray counts resources in these parts


@dataclass(frozen=True)
class Resources:
    """What a search may use: GPUs (shared by ``trials_per_gpu`` trials each) or CPUs.

    Attributes:
        gpus: at most so many; 0 is the CPU, and None all that there are, also those of nodes that join later.
        trials_per_gpu: trials that share one GPU.
        cpus: without GPUs at most so many; None is all, in the same way.
        cpu_share: CPUs that a trial on a GPU takes.
        memory: bytes of a node's memory that a trial takes; 0 where nobody has counted.
        autoscale: trials are proposed for all that may be used, there or not: the cluster starts nodes for those that
            wait, and ends nodes for which there are none.
    """

    gpus: int | None
    trials_per_gpu: int
    cpus: int | None
    cpu_share: float = 1.0
    memory: int = 0
    autoscale: bool = False

    @classmethod
    def of_cluster(
        cls, gpus: int | None, trials_per_gpu: int, cpus: int | None, autoscale: bool = False
    ) -> "Resources":
        """What the running cluster gives of what is asked for; the CPU when it has no GPU.

        Raises:
            ClusterError: more is asked for than there is, or with ``autoscale`` nothing.
        """
        if autoscale:
            if not gpus and not (gpus == 0 and cpus):
                raise ClusterError("--autoscale: say for how many, by --gpus 8, or by --gpus 0 --cpus 32 on the CPU")
            return cls(gpus, trials_per_gpu, cpus, autoscale=True)
        import ray

        available = ray.cluster_resources()
        gpus_there, cpus_there = int(available.get("GPU", 0)), int(available.get("CPU", 0))
        _check_there_is("--gpus", gpus, gpus_there, "the cluster")
        _check_there_is("--cpus", cpus, cpus_there, "the cluster")
        return cls(0 if gpus_there == 0 else gpus, trials_per_gpu, cpus)

    def shared_out(self, nodes: Iterable[Mapping[str, float]], memory: int = 0) -> "Resources":
        """The same with what a trial takes on these nodes, with resources as Ray names them.

        A trial on a GPU takes a CPU. Where a node has fewer CPUs than trials that its GPUs have room for, they share
        them, down to a quarter each: a GPU that has to wait for its CPU trains more than one that has no trial.

        Args:
            memory: bytes that a trial needs. Where no node has so many, a trial takes what the largest has.
        """
        used = [node for node in nodes if node.get("CPU", 0) > 0 and (self.gpus == 0 or node.get("GPU", 0) > 0)]
        most = max((int(node["memory"]) for node in used if "memory" in node), default=0)
        shares = [node["CPU"] / self._wanted(node) for node in used] if self.gpus != 0 else []
        share = max(LEAST_CPU, min([1.0, *shares]))
        rounded = math.floor(share * _RAYS_PARTS) / _RAYS_PARTS
        return replace(self, cpu_share=rounded, memory=min(memory, most) if most else 0)

    def _wanted(self, node: Mapping[str, float]) -> int:
        """Trials for which this node has GPUs."""
        gpus = int(node.get("GPU", 0))
        return (gpus if self.gpus is None else min(gpus, self.gpus)) * self.trials_per_gpu

    def room(self, node: Mapping[str, float]) -> dict[str, int]:
        """For how many trials a node has enough of each that a trial takes."""
        room = {"GPUs": int(node.get("GPU", 0)) * self.trials_per_gpu} if self.gpus != 0 else {}
        room["CPUs"] = _times(node.get("CPU", 0), 1.0 if self.gpus == 0 else self.cpu_share)
        return room if not self.memory else {**room, "memory": _times(node.get("memory", 0), self.memory)}

    def slots(self, nodes: Iterable[Mapping[str, float]]) -> int:
        """Trials at once on nodes with these resources, as Ray names them."""
        if self.autoscale and self.most is not None:
            return self.most
        there, most = sum(min(self.room(node).values()) for node in nodes), self.most
        return there if most is None else min(there, most)

    @property
    def most(self) -> int | None:
        """Trials at once that were asked for at most; None is as many as there is room for."""
        return self.cpus if self.gpus == 0 else None if self.gpus is None else self.gpus * self.trials_per_gpu

    @property
    def per_trial(self) -> dict[str, float]:
        """What Ray sets aside for one trial; without GPUs one CPU, and so one thread."""
        takes: dict[str, float] = (
            {"cpu": 1} if self.gpus == 0 else {"cpu": self.cpu_share, "gpu": 1 / self.trials_per_gpu}
        )
        return takes if not self.memory else {**takes, "memory": self.memory}

    @property
    def device(self) -> str:
        """Where a trial trains, as PyTorch names it."""
        return "cpu" if self.gpus == 0 else "cuda"


def _times(there: float, taken: float) -> int:
    return math.floor(there / taken + 1e-6)


def gpus_of_this_machine() -> int:
    """How many there are."""
    import torch

    return torch.cuda.device_count()


def slots_of_this_machine() -> int:
    """Trials at once that a search has here by itself: one for each GPU, or for each CPU where there is none."""
    return gpus_of_this_machine() or processors().usable


def check_this_machine(gpus: int | None, cpus: int | None) -> None:
    """Refuse at once what this machine does not have, before anything is started or made.

    Raises:
        ClusterError: more is asked for than there is.
    """
    import torch

    usable = processors()
    where = f"this process may use {usable}" if usable.limit else ""
    _check_there_is("--gpus", gpus, torch.cuda.device_count(), "this machine")
    _check_there_is("--cpus", cpus, usable.usable, "this machine", where)


def _check_there_is(option: str, asked_for: int | None, there: int, where: str, why: str = "") -> None:
    if asked_for is not None and asked_for > there:
        remedy = "0 is the CPU" if there == 0 else f"ask for at most {there}"
        has = why or f"{where} has {there or 'none'}"
        raise ClusterError(f"{option}: asked for {asked_for}, but {has}; {remedy}")
