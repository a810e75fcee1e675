"""How many CPUs a process may use, by the kernel's own affinity and cgroups, and by files as it shows them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eig_tune.processors import Processors, processors

ALL = len(os.sched_getaffinity(0))
SHOW = "from eig_tune.processors import processors; print(processors())"


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)


def shown(*within: str, **environment: str) -> str:
    """What a process says that a command such as `taskset` has started."""
    command = [*within, sys.executable, "-c", SHOW]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return done.stdout.strip()


def own_cgroup(folder: Path, text: str) -> Path:
    file = folder / "cgroup"
    file.write_text(text)
    return file


@pytest.mark.skipif(ALL < 2, reason="needs two CPUs")
def test_affinity_limits() -> None:
    first = str(min(os.sched_getaffinity(0)))
    assert shown("taskset", "-c", first) == f"1 of this machine's {os.cpu_count()} CPUs, by its CPU affinity"


@pytest.mark.skipif(ALL < 2, reason="needs two CPUs")
def test_what_slurm_gave_limits() -> None:
    told = f"1 of this machine's {os.cpu_count()} CPUs, by its Slurm job"
    assert shown(SLURM_CPUS_ON_NODE="1") == told
    assert shown(SLURM_CPUS_ON_NODE="64", SLURM_CPUS_PER_TASK="1") == told


def test_slurm_gives_no_more_than_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "4096")
    assert processors(tmp_path, tmp_path / "none").usable == ALL
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2(x3)")
    assert processors(tmp_path, tmp_path / "none").usable == ALL


@pytest.mark.parametrize(
    ("own", "files", "usable"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),  # of one around it
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n", "a/cpu.max": "300000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),  # of a container; half a CPU
        ("0::/docker/123\n", {"cpu.max": "200000 100000\n"}, 2),  # the host's path, not seen from inside
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, 64),
        ("1:cpu:/a\n0::/\n", {"cpu/a/cpu.cfs_quota_us": "400000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 4),
        ("4:cpu,cpuacct:/a/b\n", {"cpu/a/cpu.cfs_quota_us": "50000\n", "cpu/a/cpu.cfs_period_us": "10000\n"}, 5),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("5:cpuset:/a\n0::/a\n", {"unified/a/cpu.max": "200000 100000\n"}, 2),  # both versions are mounted
        ("0::/a\n", {"a/cpu.max": "what is this?"}, 64),
    ],
)
def test_cgroups_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str], usable: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    for name, text in files.items():
        file = tmp_path / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found = processors(tmp_path / "fs", own_cgroup(tmp_path, own))
    assert found == Processors(usable, 64, "" if usable == 64 else "its cgroup's CPU limit")


def test_system_without_cgroups_or_affinity_has_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    found = processors(tmp_path, tmp_path / "none")
    assert found == Processors(found.there, os.cpu_count() or 1, "")


@pytest.mark.skipif(ALL < 2 or os.geteuid() != 0, reason="needs root, to make a cgroup, and two CPUs")
def test_kernels_own_cgroup_limits() -> None:
    """A cgroup with one CPU, of the version that this machine has."""
    v1, v2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    limit = ("cpu.cfs_quota_us", "100000") if v1.is_dir() else ("cpu.max", "100000 100000")
    made = (v1 if v1.is_dir() else v2) / f"eig-tune-test-{os.getpid()}"
    try:
        made.mkdir()
        (made / limit[0]).write_text(limit[1])
    except OSError as error:
        pytest.skip(f"cgroups cannot be made here: {error}")
    try:
        enter = ("sh", "-c", f'echo $$ > {made}/cgroup.procs && exec "$@"', "sh")
        assert shown(*enter) == f"1 of this machine's {os.cpu_count()} CPUs, by its cgroup's CPU limit"
    finally:
        made.rmdir()
