"""What a rung should compare, and what a search should propose with: our engine on recorded curves, one part changed.

    python -m benchmarks.rung_scores [--schedules] [--table replay digits mnist letters fashion] [--replays 50]

As benchmarks.replay, nothing is trained. A score makes the metrics that a rung compares, and that the sampler learns
there, from all that the trial has reported by then; what counts in the end is its last report, as it is. The table
`replay` is benchmarks.replay's own, with its rungs; the others are those of benchmarks.label_free. There are two
targets: the hypervolume of half of a table drawn at random (64 trials of `replay`), each trained to its end, in the
median of the draws; and 95 % of that of the whole table. Steps are a share of those that the drawn half takes.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna._hypervolume import compute_hypervolume

from benchmarks import label_free
from benchmarks.machine import description
from benchmarks.replay import (
    OBJECTIVES,
    RANDOM_TRIALS,
    Array,
    Curves,
    Table,
    TableSampler,
    hypervolumes,
    read_curves,
    steps_to,
    target_of,
    written,
)
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.objectives import Metrics, losses_of
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.simulation import Reported, simulate_search
from eig_tune.hpo.state import SearchState

HERE = Path(__file__).parent
Score = Callable[[Sequence[Metrics]], Metrics]


def last(reports: Sequence[Metrics]) -> Metrics:
    """The report at the rung itself."""
    return reports[-1]


def mean_of(reports: Sequence[Metrics], *, most: int) -> Metrics:
    """The mean of the last ``most`` reports."""
    return {name: float(np.mean([report[name] for report in reports[-most:]])) for name in OBJECTIVES}


def with_nmi_real(reports: Sequence[Metrics], *, share: float) -> Metrics:
    """``nmi_real``, which moves less between reports, in place of this share of ``nmi``."""
    report = reports[-1]
    return {**report, "nmi": (1 - share) * report["nmi"] + share * report["nmi_real"]}


def with_label_free_score(reports: Sequence[Metrics]) -> Metrics:
    """``label_free_score`` in place of half of ``nmi``."""
    report = reports[-1]
    return {**report, "nmi": (report["nmi"] + report["label_free_score"]) / 2}


def extrapolated(reports: Sequence[Metrics], *, end: int) -> Metrics:
    """A straight line over the logarithm of the number of the report, through the last three, to the ``end``-th."""
    at = np.log(np.arange(1, len(reports) + 1))[-3:]
    if len(at) < 2:
        return reports[-1]
    lines = {name: np.polyfit(at, [report[name] for report in reports[-3:]], 1) for name in OBJECTIVES}
    return {name: float(np.clip(np.polyval(line, np.log(end)), 0, 1)) for name, line in lines.items()}


class GaussianProcess(TableSampler):
    """Optuna's GPSampler where eig-tune has TPE; one study for each rung all the same."""

    def _optuna_sampler(self, number: int, excesses_of: Any) -> optuna.samplers.BaseSampler:
        return optuna.samplers.GPSampler(n_startup_trials=8, deterministic_objective=False, seed=number)


@dataclass(frozen=True)
class Variant:
    """One row: the score, the sampler, and what is changed in the space."""

    name: str
    score: Score = last
    sampler: type[TableSampler] = TableSampler
    changes: Mapping[str, Any] | None = None
    slow: bool = False
    newer: bool = False  # the first table lacks what it needs


# Written down before any was run. What wins on `replay` has to win on the other tables, too.
VARIANTS = (
    Variant("as eig-tune searches"),
    Variant("mean of the last 2 reports", partial(mean_of, most=2)),
    Variant("mean of the last 3 reports", partial(mean_of, most=3)),
    Variant("half nmi_real, half nmi", partial(with_nmi_real, share=0.5)),
    Variant("nmi_real for nmi", partial(with_nmi_real, share=1.0)),
    Variant("half label_free_score, half nmi", with_label_free_score, newer=True),
    Variant("extrapolated to the end", partial(extrapolated, end=16)),
    Variant("one rung, best eighth goes on", changes={"asha.reduction_factor": 8, "sampler": "random"}),
    Variant("GPSampler", sampler=GaussianProcess, slow=True),
)
# Written down when the others had been seen on all tables: chosen on digits and MNIST, tested on letters and fashion.
SCHEDULES = tuple(
    Variant(
        f"TPE, first rung at 1/{part}, the best 1/{factor} go on",
        changes={"part": part, "asha.reduction_factor": factor},
    )
    for part in (3, 6)
    for factor in (3, 5, 8)
)


def space_of(table: str, seed: int, changes: Mapping[str, Any]) -> SearchSpec:
    """The space of a replay."""
    if table == "replay":
        common = {"sampler": "tpe", "seed": seed, "trials": 2 * RANDOM_TRIALS, "asha.grace": 100}
        return load_spec(HERE / "replay_space.yaml", {**common, "asha.reduction_factor": 4, **changes})
    rows = len(curves_of(table).params)
    spec = label_free.space_of(table, rows, seed, OBJECTIVES)
    return spec.model_copy(
        update={
            "sampler": changes.get("sampler", spec.sampler),
            "asha": spec.asha.model_copy(
                update={
                    "grace": _first_rung(spec, changes.get("part", 3)),
                    "reduction_factor": changes.get("asha.reduction_factor", spec.asha.reduction_factor),
                }
            ),
        }
    )


def _first_rung(spec: SearchSpec, part: int) -> int:
    """The report nearest to this part of the budget."""
    every = spec.train.report_every
    return max(1, round(spec.train.steps / part / every)) * every


def curves_of(table: str) -> Curves:
    """The recorded curves of a table."""
    if table == "replay":
        return read_curves(HERE / "replay_curves.parquet", load_spec(HERE / "replay_space.yaml"))
    return read_curves(label_free.TABLES / f"{table}.parquet", label_free.space_of(table, 2, 0, OBJECTIVES))


def replay(table: str, variant: Variant, slots: int, seed: int) -> list[tuple[int, tuple[float, ...]]]:
    """Steps spent, and losses, of each trial that one replay finishes."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spec = space_of(table, seed, variant.changes or {})
    recorded = Table(spec, curves_of(table))
    return [
        (reported.spent, losses_of(recorded.measured(reported.trial, reported.step), OBJECTIVES))
        for reported in _searched(spec, recorded, variant, slots)
        if reported.step == spec.train.steps
    ]


def _searched(spec: SearchSpec, table: Table, variant: Variant, slots: int) -> Iterator[Reported]:
    def measure(number: int, step: int) -> Metrics:
        reports = table.curves.reports[table.taken[number]][: table.curves.steps.index(step) + 1]
        return reports[-1] if step == spec.train.steps else {**reports[-1], **variant.score(reports)}

    engine = Engine(SearchPolicy(spec, variant.sampler(spec, table)), SearchState())
    return simulate_search(engine, measure, table.curves.steps, slots)


def targets(finals_R2: Array, reference_2: Array, drawn: int) -> tuple[float, float]:
    """The median hypervolume of so many drawn trials, and 95 % of that of the table."""
    whole = compute_hypervolume(np.minimum(finals_R2, reference_2), reference_2)
    return target_of(finals_R2, reference_2, drawn), 0.95 * float(whole)


def main() -> None:
    """Replay every variant and print a Markdown table for each recorded one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs="*", default=["replay", "digits", "mnist", "letters", "fashion"])
    parser.add_argument("--replays", type=int, default=50)
    parser.add_argument("--slow-replays", type=int, default=8, help="of GPSampler, whose proposals take half a second")
    parser.add_argument("--schedules", action="store_true", help="rungs and reduction factors instead")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{description()}, {arguments.replays} replays in {arguments.slots} slots")
    with ProcessPoolExecutor(arguments.processes) as pool:
        for table in arguments.table:
            print(_table(table, pool, arguments), flush=True)


def _table(table: str, pool: ProcessPoolExecutor, arguments: argparse.Namespace) -> str:
    curves = curves_of(table)
    finals_R2 = np.array([losses_of(reports[-1], OBJECTIVES) for reports in curves.reports])
    reference_2 = np.median(finals_R2, axis=0)
    drawn = min(RANDOM_TRIALS, len(finals_R2) // 2)
    aims = targets(finals_R2, reference_2, drawn)
    lines = [f"\n### {table}: {len(finals_R2)} curves, shares of the steps of {drawn} whole trials\n"]
    lines += ["| | to the hypervolume of the drawn ones | to 95 % of the table's |", "|---|---|---|"]
    for variant in SCHEDULES if arguments.schedules else VARIANTS:
        if variant.newer and table == "replay":
            continue
        replays = arguments.slow_replays if variant.slow else arguments.replays
        one = partial(replay, table, variant, arguments.slots)
        reached = [hypervolumes(points, reference_2) for points in pool.map(one, range(replays))]
        cells = [_share(reached, aim, drawn * curves.steps[-1]) for aim in aims]
        lines.append(f"| {variant.name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _share(reached: Sequence[list[tuple[int, float]]], aim: float, budget: int) -> str:
    """The median share of the steps with its quartiles, and how many replays get there."""
    shares = np.array([steps_to(one, aim) / budget for one in reached])
    low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75], method="nearest")
    quartiles = f"{written(middle)} ({written(low)} to {written(high)})"
    return f"{quartiles}, {np.isfinite(shares).mean():.0%}"


if __name__ == "__main__":
    main()
