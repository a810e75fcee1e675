"""A hundred random kills: driver, worker, node, MLflow's server, full disk.

    python -m benchmarks.kills [--kills 100] [--seed 0] [--log kills.log]

Small searches on the digits train for real, with Ray, an MLflow server and small disks of their own. Every second one
runs on a cluster whose only node with slots is killed as well. At random moments something is killed by SIGKILL: the
driver (and resumed), a trial's process, the node (and another one joins), MLflow's server (and started again seconds
later); or a disk is full (the search halts with one line, and is resumed when there is room). Two or three in ten
strike while a driver starts.

When a search is complete, its event log, MLflow (step by step), the Optuna study and the storage have to agree: every
trial ended once, no report doubled, lost or another, no run left running, no checkpoint left, every model there.
With one slot all numbers have to be those of the same search left in peace. Exit code 1 if anything is not so.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.kills.campaign import Campaign
from benchmarks.kills.place import may_mount
from benchmarks.kills.record import KINDS, Record
from benchmarks.machine import description


def main() -> None:
    """Kill, check, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("kills.log"))
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of: %(default)s")
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    signal.signal(signal.SIGTERM, lambda *given: sys.exit(143))  # what was started and mounted here goes as well
    started, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="kills-"))
    with arguments.log.open("w", buffering=1) as log:
        record = Record(log)
        record.say(f"{description()}; {arguments.kills} kills, seed {arguments.seed}")
        kinds = possible(arguments.kinds.split(","), folder, record)
        wanted = Counter(kinds[index % len(kinds)] for index in range(arguments.kills))
        evidence = arguments.log.with_suffix(".evidence").resolve()
        Campaign(folder, evidence, record, random.Random(arguments.seed)).run(wanted)
        minutes = (time.monotonic() - started) / 60
        record.say(f"{record.kills.total()} kills in {minutes:.0f} minutes\n\n{record.table()}")
    shutil.rmtree(folder)
    sys.exit(1 if record.violations else 0)


def possible(kinds: list[str], folder: Path, record: Record) -> list[str]:
    """The kinds that can be done here; what cannot is said."""
    unknown = set(kinds) - set(KINDS)
    if unknown:
        sys.exit(f"--kinds: there are {', '.join(KINDS)}; got {', '.join(sorted(unknown))}")
    if "full disk" in kinds and not may_mount(folder):
        record.say("no disk is filled: only root may mount a tmpfs of limited size")
        return [kind for kind in kinds if kind != "full disk"]
    return kinds


if __name__ == "__main__":
    main()
