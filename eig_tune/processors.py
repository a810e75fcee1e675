"""How many of this machine's CPUs this process may use: its affinity, its cgroups' limits, and what Slurm gave it."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
# What `srun --cpus-per-task` gives a task; without that option, what a job or step has on its node.
_SLURM = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")


@dataclass(frozen=True)
class Processors:
    """CPUs that this process may use.

    Attributes:
        usable: how many, at least one. Of a limit such as 2.5 CPUs these are 2, as a trial has one thread.
        there: how many the machine has.
        limit: what makes them fewer, in words; empty where nothing does.
    """

    usable: int
    there: int
    limit: str

    def __str__(self) -> str:
        cpus = f"{self.there} CPU{'' if self.there == 1 else 's'}"
        return f"{self.usable} of this machine's {cpus}, by {self.limit}" if self.limit else cpus


def processors(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> Processors:
    """What this process may use now.

    Args:
        cgroups: where the kernel shows the cgroups.
        own: the file in which it says to which of them this process belongs.
    """
    there = os.cpu_count() or 1
    limits = {"its CPU affinity": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there}
    if (quota := _quota(cgroups, own)) is not None:
        limits["its cgroup's CPU limit"] = max(1, int(quota))
    if (given := _given_by_slurm(os.environ)) is not None:
        limits["its Slurm job"] = given
    limit = min(limits, key=lambda name: limits[name])
    usable = min(limits[limit], there)
    return Processors(usable, there, limit if usable < there else "")


def _given_by_slurm(environment: Mapping[str, str]) -> int | None:
    given = (environment.get(name, "") for name in _SLURM)
    return next((int(text) for text in given if text.isdecimal() and int(text) > 0), None)


def _quota(cgroups: Path, own: Path) -> float | None:
    """The smallest CPU limit of the cgroup of this process and of those around it, in CPUs; None where there is none.

    In a container the path that the kernel tells may be that of the host, which is not seen from inside; then the
    topmost cgroup that is seen is the container's.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounted = (cgroups, cgroups / "unified")
            quotas += [_quota_of_v2(folder) for root in mounted for folder in _upwards(root, path)]
        elif "cpu" in controllers.split(","):
            quotas += [_quota_of_v1(folder) for folder in _upwards(cgroups / "cpu", path)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """The folder of a cgroup and those above it, up to the root."""
    folder = root / path.lstrip("/")
    while folder != root and folder.is_relative_to(root):
        yield folder
        folder = folder.parent
    yield root


def _quota_of_v2(folder: Path) -> float | None:
    """``cpu.max`` has microseconds in each period, or ``max``, and the period."""
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _quota_of_v1(folder: Path) -> float | None:
    try:
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
