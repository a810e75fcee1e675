"""What a finished search spent its slots on, from its event log.

    python -m benchmarks.search_overhead --home demo --name digits --slots 2

Slot time is that from the first trial's start to the last one's end, on every slot: with the start of the trial
processes, and with the slot that is idle while the last trial trains.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.machine import description
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.trial import Trial
from eig_tune.reports.outcomes import total


def main() -> None:
    """Print the share of training, and how long a slot waits between two trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True, help="trials that ran at once")
    arguments = parser.parse_args()
    with EventLog(Home(arguments.home).event_log(arguments.name)) as event_log:
        trials = sorted(event_log.trials.values(), key=lambda trial: trial.at)
    waits = turnovers(trials[arguments.slots :])
    print(f"{description()}\n")
    print(f"{training_share(trials, arguments.slots):.1%} of slot time spent in training steps")
    print(f"from a trial's end to the next one's first step: median {median(waits):.3f} s, longest {max(waits):.3f} s")


def training_share(trials: Sequence[Trial], slots: int) -> float:
    """Seconds in training steps, of all trials, over the seconds of all slots."""
    span = max(trial.ended_at or trial.at for trial in trials) - min(trial.at for trial in trials)
    return total(trials, "train_seconds") / (slots * span)


def turnovers(trials: Sequence[Trial]) -> list[float]:
    """Of every trial, the seconds between its proposal, on a slot that is free, and its first step.

    A trial is proposed when another one ends; what its first report came later than training and judging took is
    what it waited.
    """
    waits = []
    for trial in trials:
        first = trial.reports[min(trial.reports)]
        busy = first.metrics["train_seconds"] + first.metrics["evaluation_seconds"]
        waits.append(first.at - trial.at - busy)
    return waits


if __name__ == "__main__":
    main()
