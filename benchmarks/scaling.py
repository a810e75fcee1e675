"""How many nodes help: the share of slot time in which trials train, at 1, 2, 4 and 8 nodes of 4 slots each.

    python -m benchmarks.scaling [--nodes 1,2,4,8]

Sampler, engine, event log, study, Ray and MLflow (sqlite) are the real ones; the nodes are Ray's, all on this machine.
A trial sleeps instead of training: 20 s, as ten reports of 2 s, kept at its end, and none is stopped early. The
steady share leaves out how the search begins and ends: until the last slot has its first trial (on a cluster nodes
start their processes at the same time; here all of them share the processors of one machine), and after the last
trial was handed out. The whole share has both.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from ray import tune

if TYPE_CHECKING:  # 32 trial processes would import PyTorch with them
    from eig_tune.home import Home
    from eig_tune.hpo.trial import Trial

SLOTS_PER_NODE = 4
REPORTS = 10
REPORT_SECONDS = 2.0
TARGET = 0.9


class SleepingTrainable(tune.Trainable):  # type: ignore[misc]
    """Sleeps where a trial would train; the values it reports say nothing."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._seed = new_config["run"]["seed"]
        self._step = 0
        return True

    def step(self) -> dict[str, Any]:
        started = time.perf_counter()
        time.sleep(REPORT_SECONDS)
        self._step += 1
        quality = self._step / REPORTS * (1 + self._seed * 7 % 10) / 10
        return {
            "step": self._step,
            "measured": {"nmi": quality, "prior_rmse": 0.3 - 0.2 * quality},
            "train_seconds": time.perf_counter() - started,
            "evaluation_seconds": 0.0,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "step.json").write_text(json.dumps(self._step))

    def load_checkpoint(self, checkpoint: str) -> None:
        self._step = json.loads(Path(checkpoint, "step.json").read_text())


@dataclass(frozen=True)
class Measured:
    """One search: shares of slot time, and processor seconds of its own process for every second that trials ran."""

    slots: int
    trials: int
    steady: float
    whole: float
    driver: float


def main() -> None:
    """Measure, print the table, draw the picture."""
    from benchmarks.machine import description
    from eig_tune.home import Home

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="1,2,4,8")
    parser.add_argument("--trials-per-slot", type=int, default=12)
    parser.add_argument("--picture", type=Path, default=Path(__file__).parent / "pictures" / "scaling.png")
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_worker_niceness", "0")  # on a cluster they have processors of their own
    print(f"{description()}\n\n| nodes | slots | trials | steady | whole | driver, of one core |")
    print("|---|---|---|---|---|---|")
    found = []
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
        for nodes in map(int, arguments.nodes.split(",")):
            seen = measure(nodes, nodes * SLOTS_PER_NODE * arguments.trials_per_slot, Home(Path(folder)))
            found.append(seen)
            row = (nodes, seen.slots, seen.trials, f"{seen.steady:.1%}", f"{seen.whole:.1%}", f"{seen.driver:.0%}")
            print(f"| {' | '.join(map(str, row))} |", flush=True)
    draw(found, arguments.picture)
    sys.exit(0 if all(seen.steady >= TARGET for seen in found) else 1)


def measure(nodes: int, trials: int, home: "Home") -> Measured:
    """Run one search on so many nodes."""
    from benchmarks.search_overhead import training_share
    from eig_tune.cluster.tuner import run_trials
    from eig_tune.config.space import load_spec
    from eig_tune.hpo.event_log import EventLog
    from eig_tune.tracking import local_uri
    from eig_tune.workflows.options import RunOptions
    from eig_tune.workflows.search import run_search
    from eig_tune.workflows.view import View

    name, slots = f"scaling-{nodes}", nodes * SLOTS_PER_NODE
    full = {"train.steps": REPORTS, "train.report_every": 1, "asha": {"grace": REPORTS}}
    spec = load_spec(Path("search_spaces/digits.yaml"), {"trials": trials, "confirm": {"top": 0}, **full})
    load = 0.0

    def timed(*given: Any) -> None:
        nonlocal load
        started, used = time.monotonic(), time.process_time()
        run_trials(*given)
        load = (time.process_time() - used) / (time.monotonic() - started)

    with (
        cluster(nodes) as address,
        patch("eig_tune.cluster.trainable.EigTrainable", SleepingTrainable),
        patch("eig_tune.workflows.session.run_trials", timed),
        patch("ray.tune.with_parameters", lambda trainable, **given: trainable),
        patch("eig_tune.reports.mlflow_runs.draw_trial", lambda *arguments: None),
        patch("eig_tune.training.checkpoint.write_weights", lambda *arguments: None),
    ):
        options = RunOptions(name, local_uri(home.path), gpus=0, cpus=slots, address=address)
        run_search(spec, options, home, View())
    with EventLog(home.event_log(name)) as event_log:
        ran = sorted(event_log.trials.values(), key=lambda trial: trial.at)
    assert len(ran) == trials and all(trial.status == "finished" for trial in ran)
    return Measured(slots, trials, steady_share(ran, slots), training_share(ran, slots), load)


@contextmanager
def cluster(nodes: int) -> Iterator[str]:
    """A head without slots and so many nodes, one after the other; its address."""
    import ray
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 100 * 2**20}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    try:
        for _ in range(nodes):
            made.add_node(num_cpus=SLOTS_PER_NODE, num_gpus=0, **small)
        yield made.address
    finally:
        ray.shutdown()
        made.shutdown()


def steady_share(trials: Sequence["Trial"], slots: int) -> float:
    """Share of slot time spent in training, from when every slot has had a trial to when the last trial began."""
    spans = [(report.at - report.metrics["train_seconds"], report.at) for t in trials for report in t.reports.values()]
    begun = [min(report.at - report.metrics["train_seconds"] for report in t.reports.values()) for t in trials]
    first, last = max(begun[:slots]), trials[-1].at
    busy = sum(max(0.0, min(end, last) - max(start, first)) for start, end in spans)
    return busy / (slots * (last - first))


def draw(found: Sequence[Measured], file: Path) -> None:
    """Both shares over the number of slots."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    slots = [seen.slots for seen in found]
    axes.plot(slots, [100 * seen.steady for seen in found], "o-", label="steady")
    axes.plot(slots, [100 * seen.whole for seen in found], "o--", label="with the search's beginning and end")
    axes.axhline(100 * TARGET, color="grey", linewidth=1, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks(slots, [f"{count}\n({count // SLOTS_PER_NODE})" for count in slots])
    axes.set(xlabel="slots (nodes)", ylabel="slot time in training, %", ylim=(0, 102))
    axes.set_title(f"Trials of {REPORTS * REPORT_SECONDS:.0f} s, a report every {REPORT_SECONDS:.0f} s")
    axes.legend(loc="lower left")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
