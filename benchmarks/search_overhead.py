"""What a finished search spent its slots on, from its event logs: trials, second seeds and confirmations.

    python -m benchmarks.search_overhead --home demo --name digits --slots 2

Slot time is that from the first trial's start to the last run's end, on every slot: with the start of the trial
processes, and with slots that are idle. Runs that were begun early and not needed count as training; what they cost is
shown beside it.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from benchmarks.machine import description
from eig_tune.home import Home
from eig_tune.hpo.event_log import read_state
from eig_tune.hpo.trial import Trial
from eig_tune.reports.outcomes import total


def main() -> None:
    """Print the share of training, and how long a slot waits between two trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True, help="trials that ran at once")
    arguments = parser.parse_args()
    runs, slots = runs_of(Home(arguments.home), arguments.name), arguments.slots
    waits = turnovers(runs[slots:])
    spare = [run for run in runs if "trial" in run.params and run.status == "stopped"]
    print(f"{description()}\n")
    print(
        f"{training_share(runs, slots):.1%} of slot time spent in training steps, {span(runs):.0f} s on {slots} slots"
    )
    print(f"{total(runs, 'evaluation_seconds') / (slots * span(runs)):.1%} in evaluations")
    print(f"{total(spare, 'train_seconds'):.0f} s in {len(spare)} runs that were begun early and not needed")
    print(f"from a trial's end to the next one's first step: median {median(waits):.3f} s, longest {max(waits):.3f} s")


def runs_of(home: Home, name: str) -> list[Trial]:
    """Trials, second seeds and confirmations, in the order of their beginning."""
    files = (home.event_log(name), home.second_seed_event_log(name), home.confirmation_event_log(name))
    states = [read_state(file) for file in files if file.is_file()]
    return sorted((run for state in states for run in state.trials.values()), key=lambda run: run.at)


def span(runs: Iterable[Trial]) -> float:
    """Seconds from the first one's start to the last one's end."""
    return max(run.ended_at or run.at for run in runs) - min(run.at for run in runs)


def training_share(runs: Sequence[Trial], slots: int) -> float:
    """Seconds in training steps, of all runs, over the seconds of all slots."""
    return total(runs, "train_seconds") / (slots * span(runs))


def turnovers(runs: Sequence[Trial]) -> list[float]:
    """Of every run, the seconds between its proposal, on a slot that is free, and its first step.

    A run is proposed when another one ends; what its first report came later than training and judging took is what it
    waited.
    """
    waits = []
    for run in runs:
        first = run.reports[min(run.reports)]
        busy = first.metrics["train_seconds"] + first.metrics["evaluation_seconds"]
        waits.append(first.at - run.at - busy)
    return waits


if __name__ == "__main__":
    main()
