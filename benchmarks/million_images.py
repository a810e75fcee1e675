"""How long a search on one million images takes to start, and what memory it takes.

    python -m benchmarks.million_images [--count 1000000] [--channels 3] [--folder FOLDER]

Writes an array of 32 × 32 ``uint8`` images of ten classes as a ``.npy`` file below ``--folder`` (3.1 GB in colour),
runs the same small search of two trials on it twice in one home, and prints for each

- the seconds from the start of the command to the first report of a trial, which comes after 20 steps of training. The
  first time, the evaluation classifier is trained; the second time it is known;
- the memory of the driver and of the trials' processes, the largest of samples every half second: private memory, which
  nobody else has, and what is mapped from files, of which the machine has one copy for all processes in its page cache.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from benchmarks.machine import description
from eig_tune.home import Home
from eig_tune.hpo.event_log import read_state

SIDE, CLASSES = 32, 10
_AT_ONCE = 10_000
_REPORTS = 2  # of each trial, after which the search is ended
_SPACE = {
    "method": "elastic-infogan",
    "model": {"width": 8, "noise_dim": 16, "categories": CLASSES},
    "train": {"steps": 2000, "report_every": 20, "images_per_category": 20, "final_images_per_category": 20},
    "search": {"tau": {"loguniform": [0.05, 0.5]}},
    "asha": {"grace": 1000, "reduction_factor": 2},
    "confirm": {"finalists": 0, "top": 1, "seeds": 1},
    "trials": 2,
}


@dataclass(frozen=True)
class Memory:
    """Of one process, in MiB.

    Attributes:
        private: anonymous memory, which it has alone.
        mapped: pages of files that it has mapped and looked at; other processes share them.
    """

    private: float
    mapped: float

    def largest(self, other: "Memory") -> "Memory":
        """The larger of both, each by itself."""
        return Memory(max(self.private, other.private), max(self.mapped, other.mapped))

    def __str__(self) -> str:
        return f"{self.private:,.0f} MiB private, {self.mapped:,.0f} MiB mapped from files"


@dataclass
class Measured:
    """One search.

    Attributes:
        start_up: seconds to the first report.
        cpu: seconds that the driver itself computed until then, which other work on the machine changes little.
        processes: the largest memory of each, by what it is.
    """

    start_up: float
    cpu: float
    processes: dict[str, Memory]


def write_images(folder: Path, count: int, channels: int) -> tuple[Path, Path]:
    """Images of noise around a colour of their class, and their labels, as NumPy files."""
    rng = np.random.Generator(np.random.SFC64(0))
    images, labels = folder / "images.npy", folder / "labels.npy"
    colours = rng.integers(32, 224, size=(CLASSES, 1, 1, channels), dtype=np.int16)
    numbers = rng.integers(CLASSES, size=count, dtype=np.int64)
    np.save(labels, numbers)
    array = np.lib.format.open_memmap(images, "w+", np.uint8, (count, SIDE, SIDE, channels))
    for start in range(0, count, _AT_ONCE):
        part = numbers[start : start + _AT_ONCE]
        noise = rng.integers(-32, 32, size=(len(part), SIDE, SIDE, channels), dtype=np.int16)
        array[start : start + len(part)] = colours[part] + noise
    array.flush()
    return images, labels


def memory_of(pid: int) -> Memory | None:
    """What a process has in memory now; None if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    values = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    if "RssAnon" not in values:
        return None
    return Memory(int(values["RssAnon"][0]) / 1024, int(values["RssFile"][0]) / 1024)


def cpu_seconds(pid: int) -> float:
    """What a process has computed until now, in all its threads."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def trial_processes(driver: int) -> Iterator[int]:
    """The processes below ``driver`` that train trials."""
    parents, names = dict[int, int](), dict[int, str]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2]
            names[int(folder.name)] = (folder / "cmdline").read_text()
            parents[int(folder.name)] = int(after_name.split()[1])
        except OSError:
            continue
    for pid, name in names.items():
        above = pid
        while above in parents and above != driver:
            above = parents[above]
        if above == driver and "EigTrainable" in name:
            yield pid


def search(space: Path, home: Path) -> Measured:
    """Run the search of ``space``, which is named after the file, and watch its processes until each has reported."""
    program = "from eig_tune.cli import main; raise SystemExit(main())"
    arguments = ["search", "--space", str(space), "--home", str(home), "--gpus", "0", "--cpus", "2"]
    started = time.perf_counter()
    driver = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL)
    log = Home(home).event_log(space.stem)
    start_up, cpu, ended = 0.0, 0.0, False
    found, names = dict[str, Memory](), dict[int, str]()
    while driver.poll() is None:
        reports = [len(trial.reports) for trial in read_state(log).trials.values()] if log.is_file() else []
        if not start_up and any(reports):
            start_up, cpu = time.perf_counter() - started, cpu_seconds(driver.pid)
        if len(reports) == _SPACE["trials"] == len(found) - 1 and min(reports) >= _REPORTS and not ended:
            driver.send_signal(signal.SIGINT)
            ended = True
        for pid in [driver.pid, *trial_processes(driver.pid)]:
            name = names.setdefault(pid, "driver" if pid == driver.pid else f"trial process {len(names)}")
            memory = memory_of(pid)
            if memory is not None:
                found[name] = memory.largest(found.get(name, memory))
        time.sleep(0.5)
    if not ended:
        raise SystemExit(f"the search ended with {driver.returncode}")
    return Measured(start_up, cpu, found)


def measure(folder: Path, count: int, channels: int) -> list[Measured]:
    """Write the images below ``folder`` and search twice; the second time everything that can be kept was kept."""
    images, labels = write_images(folder, count, channels)
    results, home = [], folder / "home"
    for name in ("first", "second"):
        dataset = {"name": "array-file", "root": str(images), "labels": str(labels), "imbalance": {"split": 0}}
        space = folder / f"{name}.yaml"
        space.write_text(yaml.safe_dump({"dataset": dataset, **_SPACE}))
        results.append(search(space, home))
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, choices=(1, 3), default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where the array is written; the system's own")
    arguments = parser.parse_args()
    size = arguments.count * SIDE * SIDE * arguments.channels
    print(description(), f"\nload average before: {os.getloadavg()[0]:.1f}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="eig-tune-million-", dir=arguments.folder) as folder:
        results = measure(Path(folder), arguments.count, arguments.channels)
    print(f"{arguments.count:,} images of {SIDE} × {SIDE} × {arguments.channels}: {size / 2**20:,.0f} MiB on disk")
    for name, result in zip(("first", "second"), results, strict=True):
        print(
            f"{name} time: {result.start_up:.1f} s to the first report; the driver computed {result.cpu:.1f} s of them"
        )
        for process, memory in result.processes.items():
            print(f"    {process}: {memory}")


if __name__ == "__main__":
    main()
