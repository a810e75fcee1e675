"""What a search may use of a cluster, and how many trials fit into it."""

import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eig_tune.errors import ClusterError

_COUNT_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Resources:
    """What a search may use: GPUs (shared by ``trials_per_gpu`` trials each) or CPUs.

    Attributes:
        gpus: at most so many; 0 is the CPU, and None all that there are, also those of nodes that join later.
        trials_per_gpu: trials that share one GPU.
        cpus: without GPUs at most so many; None is all, in the same way.
    """

    gpus: int | None
    trials_per_gpu: int
    cpus: int | None

    @classmethod
    def of_cluster(cls, gpus: int | None, trials_per_gpu: int, cpus: int | None) -> "Resources":
        """What the running cluster gives of what is asked for; the CPU when it has no GPU.

        Raises:
            ClusterError: more is asked for than there is.
        """
        import ray

        available = ray.cluster_resources()
        gpus_there, cpus_there = int(available.get("GPU", 0)), int(available.get("CPU", 0))
        _check_there_is("--gpus", gpus, gpus_there, "the cluster")
        _check_there_is("--cpus", cpus, cpus_there, "the cluster")
        return cls(0 if gpus_there == 0 else gpus, trials_per_gpu, cpus)

    def slots(self, nodes: Iterable[Mapping[str, float]]) -> int:
        """Trials at once on nodes with these resources, as Ray names them; a trial on a GPU takes a CPU as well."""
        if self.gpus == 0:
            there, most = sum(int(node.get("CPU", 0)) for node in nodes), self.cpus
        else:
            per_node = (min(int(n.get("GPU", 0)) * self.trials_per_gpu, int(n.get("CPU", 0))) for n in nodes)
            there, most = sum(per_node), None if self.gpus is None else self.gpus * self.trials_per_gpu
        return there if most is None else min(there, most)

    @property
    def per_trial(self) -> dict[str, float]:
        """What Ray sets aside for one trial; without GPUs one CPU, and so one thread."""
        return {"cpu": 1} if self.gpus == 0 else {"cpu": 1, "gpu": 1 / self.trials_per_gpu}

    @property
    def device(self) -> str:
        """Where a trial trains, as PyTorch names it."""
        return "cpu" if self.gpus == 0 else "cuda"


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
        import ray

        if time.monotonic() - self._counted > _COUNT_EVERY_SECONDS:
            nodes = (node["Resources"] for node in ray.nodes() if node["Alive"])
            self._now = max(1, self._given.slots(nodes))
            self._counted = time.monotonic()
            self.most = max(self.most, self._now)
        return self._now


def check_this_machine(gpus: int | None, cpus: int | None) -> None:
    """Refuse at once what this machine does not have, before anything is started or made.

    Raises:
        ClusterError: more is asked for than there is.
    """
    import torch

    _check_there_is("--gpus", gpus, torch.cuda.device_count(), "this machine")
    _check_there_is("--cpus", cpus, os.cpu_count() or 1, "this machine")


def _check_there_is(option: str, asked_for: int | None, there: int, where: str) -> None:
    if asked_for is not None and asked_for > there:
        remedy = "0 is the CPU" if there == 0 else f"ask for at most {there}"
        raise ClusterError(f"{option}: asked for {asked_for}, but {where} has {there or 'none'}; {remedy}")
