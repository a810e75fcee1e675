"""A whole search by eig-tune, against the plain script with the same space, trials, steps and rungs.

    python -m benchmarks.search_vs_plain [--rounds 1] [--trials N]

The two take turns; wall time is that of the whole process, from its start to its exit, for both. The plain
script hands over the trial of the highest NMI, eig-tune the knee of its Pareto front. Both train in the way of the
paper's authors, Q's own layers only, and confirm nothing; `--as-it-is` leaves eig-tune's defaults, which do more at
each step.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benchmarks.machine import description

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@dataclass(frozen=True)
class Outcome:
    """What a search took and what it found: the highest NMI of all, and the trial that it would hand over."""

    wall_seconds: float
    steps: int
    highest_nmi: float
    chosen_nmi: float
    chosen_prior_rmse: float

    @property
    def seconds_per_step(self) -> float:
        return self.wall_seconds / self.steps


def main() -> None:
    """Run both, in turns, and print a Markdown table."""
    arguments = _arguments()
    outcomes: dict[str, list[Outcome]] = {"plain script": [], "eig-tune search": []}
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="search-vs-plain-") as home:
            space = Path(home, "space.yaml")
            space.write_text(yaml.safe_dump(_document(arguments)), encoding="utf-8")
            plain = _plain_command(arguments.space, Path(home, "plain"))
            outcomes["plain script"].append(_run(plain + _budget(arguments)))
            ours = _eig_tune_command(space, Path(home, "ours"), f"against-plain-{number}")
            outcomes["eig-tune search"].append(_run(ours + _budget(arguments)))
    print(f"{description()}\n")
    print(_table(outcomes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, default=Path("search_spaces/digits.yaml"))
    parser.add_argument("--as-it-is", action="store_true", help="leave eig-tune's defaults as they are")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--trials", type=int, help="default: as the space file says")
    return parser.parse_args()


def _budget(arguments: argparse.Namespace) -> list[str]:
    return [] if arguments.trials is None else ["--trials", str(arguments.trials)]


def _document(arguments: argparse.Namespace) -> dict[str, Any]:
    document = yaml.safe_load(arguments.space.read_text(encoding="utf-8"))
    document["confirm"] = {"top": 0}
    if not arguments.as_it_is:
        document["train"]["category_loss_trains_front_end"] = False
    return dict(document)


def _plain_command(space: Path, home: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.plain_script", "--space", str(space), "--home", str(home)]


def _eig_tune_command(space: Path, home: Path, name: str) -> list[str]:
    program = Path(sys.executable).with_name("eig-tune")
    return [str(program), "search", "--space", str(space), "--gpus", "0", "--name", name, "--home", str(home), "--json"]


def _run(command: Sequence[str]) -> Outcome:
    print("running", *command, file=sys.stderr)
    started = time.perf_counter()
    finished = subprocess.run(command, env={**os.environ, **QUIET}, stdout=subprocess.PIPE, text=True, check=True)
    return _outcome(_last_document(finished.stdout), time.perf_counter() - started)


def _last_document(output: str) -> dict[str, Any]:
    """The JSON object at the end of ``output``, be it on one line or on many."""
    start = output.rfind("\n{") + 1
    document: dict[str, Any] = json.loads(output[start:])
    return document


def _outcome(document: Mapping[str, Any], wall_seconds: float) -> Outcome:
    """Read the JSON of ``eig-tune search --json`` or of the plain script."""
    chosen = document["best"]["metrics"]
    nmis = [trial["metrics"]["nmi"] for trial in document["trials"] if trial["metrics"]]
    return Outcome(wall_seconds, document["steps"], max(nmis), chosen["nmi"], chosen["prior_rmse"])


def _table(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    lines = [
        "| search | round | wall time | training steps | steps/s | highest NMI | chosen trial: NMI | prior RMSE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rounds in outcomes.items():
        lines += [f"| {name} | {number} | {_row(outcome)} |" for number, outcome in enumerate(rounds, start=1)]
    pairs = zip(outcomes["plain script"], outcomes["eig-tune search"], strict=True)
    ratios = [plain.seconds_per_step / ours.seconds_per_step for plain, ours in pairs]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
    return "\n".join([*lines, "", f"Wall time per training step, plain ÷ eig-tune, median (min–max): {spread}"])


def _row(outcome: Outcome) -> str:
    steps_per_second = 1 / outcome.seconds_per_step
    return (
        f"{outcome.wall_seconds:.0f} s | {outcome.steps:,} | {steps_per_second:.1f} "
        f"| {outcome.highest_nmi:.3f} | {outcome.chosen_nmi:.3f} | {outcome.chosen_prior_rmse:.3f}"
    )


if __name__ == "__main__":
    main()
