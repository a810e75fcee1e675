"""A search without labels against one with labels, of the same budget, on recorded learning curves.

    python -m benchmarks.label_free record --space SPACE [--root FOLDER] --trials 48 --table digits
    python -m benchmarks.label_free replay [--table digits mnist fashion letters] [--replays 50]

``record`` trains random trials of a wider space to the full budget (ranges over two and a half decades, so that some
fail), and keeps their curves as benchmarks/curves/TABLE.parquet. ``replay`` lets eig-tune's own engine search in each
table, once for each set of objectives; a set that needs no labels sees no labelled metric. What is chosen is looked up
in the labelled metrics: regret is by how much it is worse than what the labelled search chooses with the same seed.
benchmarks.confirmed trains what these searches find again, on fresh seeds.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import description
from benchmarks.many_runs import Job, Reports, train_all
from benchmarks.replay import Curves, Table, our_engine, read_curves
from eig_tune.config.constraints import NO_CONSTRAINTS
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.hpo.candidates import candidates_of
from eig_tune.hpo.objectives import Metrics, Objectives
from eig_tune.hpo.optuna_log import log_only_errors
from eig_tune.hpo.sampler import OptunaSampler, Params
from eig_tune.hpo.selection import choose
from eig_tune.hpo.trial import Report, Trial
from eig_tune.reports.curves import CURVES_FILE, write_curves

TABLES = Path(__file__).parent / "curves"
WIDE = {
    "lambda_1": {"loguniform": [0.03, 10]},
    "lambda_2": {"loguniform": [0.3, 100]},
    "lambda_3": {"loguniform": [0.003, 1]},
    "tau": {"loguniform": [0.03, 1]},
    "prior_lr": {"loguniform": [1e-4, 3e-2]},
}
# All of these sets were written down before the first table was made. LABEL_FREE was chosen on the table of digits, one
# quantity of the generator's side and one of the encoder's, before any other was made; the others test it.
LABELLED, LABEL_FREE = "nmi and prior_rmse (labelled)", "label_free_score and augment_information"
OBJECTIVES: dict[str, dict[str, str]] = {
    LABELLED: {"nmi": "maximize", "prior_rmse": "minimize"},
    "nmi (labelled)": {"nmi": "maximize"},
    LABEL_FREE: {"label_free_score": "maximize", "augment_information": "maximize"},
    "neighbour_nmi and prior_share_gap": {"neighbour_nmi": "maximize", "prior_share_gap": "minimize"},
    "label_free_score": {"label_free_score": "maximize"},
    "neighbour_nmi and prior_posterior_gap": {"neighbour_nmi": "maximize", "prior_posterior_gap": "minimize"},
    "code_recovery": {"code_recovery": "maximize"},
}
SHOWN = {"nmi": 1, "prior_rmse": -1, "nmi_real": 1, "classes_found": 1}  # and which way is better


def main() -> None:
    """Record or replay."""
    arguments = _arguments()
    log_only_errors()
    {"record": record, "replay": replay}[arguments.what](arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["record", "replay"])
    parser.add_argument("--space", type=Path, help="of the data set, for `record`")
    parser.add_argument("--root", help="where the images lie")
    parser.add_argument("--table", nargs="*", default=[file.stem for file in sorted(TABLES.glob("*.parquet"))])
    parser.add_argument("--trials", type=int, help="to record (48), or of a replayed search (half of the table)")
    parser.add_argument("--seed", type=int, default=0, help="of the recorded trials")
    parser.add_argument("--steps", type=int, help="of a recorded trial; by default those of the space")
    parser.add_argument("--every", type=int, help="steps between two recorded reports")
    parser.add_argument(
        "--log", type=Path, help="where runs are kept until all are done; with it, a later call goes on"
    )
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/eig-tune"), help="of evaluation classifiers")
    parser.add_argument("--replays", type=int, default=50)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def record(arguments: argparse.Namespace) -> None:
    """Train random trials to the full budget and keep their curves; goes on where an earlier call was stopped."""
    (table,) = arguments.table
    spec, jobs = recorded_jobs(arguments)
    done = train_all(
        {str(number): job for number, (_, job) in enumerate(jobs)},
        arguments.log or TABLES / f"{table}.jsonl",
        arguments.cache.expanduser(),
        arguments.processes,
    )
    TABLES.mkdir(exist_ok=True)
    trials = [_recorded(number, jobs[number][0], done[str(number)]) for number in range(len(jobs))]
    with tempfile.TemporaryDirectory() as folder:
        write_curves(trials, Path(folder))
        shutil.copy(Path(folder, CURVES_FILE), TABLES / f"{table}.parquet")
    budget = {"steps": spec.train.steps, "every": spec.train.report_every, "seed": arguments.seed}
    (TABLES / f"{table}.json").write_text(json.dumps(budget), encoding="utf-8")


def recorded_jobs(arguments: argparse.Namespace) -> tuple[SearchSpec, list[tuple[Params, Job]]]:
    """The space of a recording, and the params and run of each of its trials."""
    changes: dict[str, Any] = {"search": WIDE, "sampler": "random", "seed": arguments.seed, "start_from": []}
    changes |= {f"train.{name}": value for name, value in _train(arguments).items()}
    if arguments.steps:
        changes["asha.grace"] = arguments.steps  # nothing is stopped
    if arguments.root:
        changes["dataset.root"] = arguments.root
    spec = load_spec(arguments.space, changes)
    sampler = OptunaSampler(spec)
    drawn = [sampler.propose(number) for number in range(arguments.trials or 48)]
    configs = [spec.trial_config(number, params) for number, params in enumerate(drawn)]
    return spec, [(params, Job(spec.dataset, config)) for params, config in zip(drawn, configs, strict=True)]


def _train(arguments: argparse.Namespace) -> dict[str, int]:
    given = {"steps": arguments.steps, "report_every": arguments.every}
    return {name: value for name, value in given.items() if value is not None}


def _recorded(number: int, params: Params, done: Reports) -> Trial:
    reports = {step: Report(step, metrics, 0.0) for step, metrics in done.items()}
    return Trial(number, params, 0.0, status="finished", reports=reports)


def space_of(table: str, trials: int, seed: int, objectives: Objectives) -> SearchSpec:
    """The space in which a recorded table is searched."""
    budget = json.loads((TABLES / f"{table}.json").read_text())
    document = {
        "dataset": {"name": "digits"},  # any labelled one: nothing is trained
        "search": WIDE,
        "objectives": dict(objectives),
        "train": {"steps": budget["steps"], "report_every": budget["every"]},
        "asha": {"grace": _grace(budget), "reduction_factor": 3},
        "trials": trials,
        "seed": seed,
    }
    return load_spec(document)


def _grace(budget: Mapping[str, int]) -> int:
    """The report nearest to a third of the budget."""
    return round(budget["steps"] / 3 / budget["every"]) * budget["every"]


def searched(table: str, trials: int | None, slots: int, objectives: Objectives, seed: int) -> list[Trial]:
    """The finished trials of one replayed search."""
    any_space = space_of(table, 2, seed, objectives)
    curves = read_curves(TABLES / f"{table}.parquet", any_space)
    spec = space_of(table, trials or len(curves.params) // 2, seed, objectives)
    recorded = Table(spec, curves)
    ends = [r.trial for r in our_engine(spec, recorded, slots) if r.step == spec.train.steps]
    return [_finished(number, curves, recorded.taken[number]) for number in ends]


def _finished(number: int, curves: Curves, row: int) -> Trial:
    report = Report(curves.steps[-1], curves.reports[row][-1], 0.0)
    return Trial(number, curves.params[row], 0.0, status="finished", reports={report.step: report})


def chosen(trials: Sequence[Trial], objectives: Objectives) -> Metrics:
    """What the one that a search would choose has reached."""
    best = choose(candidates_of(trials), objectives, NO_CONSTRAINTS)
    return best.found


def replay(arguments: argparse.Namespace) -> None:
    """Print a Markdown table for each recorded one."""
    print(f"{description()}, {arguments.replays} replays\n")
    with ProcessPoolExecutor(arguments.processes) as pool:
        for table in arguments.table:
            of_each: dict[str, list[Metrics]] = {}
            for name, objectives in OBJECTIVES.items():
                one = partial(_one, table, arguments.trials, arguments.slots, objectives)
                of_each[name] = list(pool.map(one, range(arguments.replays)))
            print(_table(table, of_each))


def _one(table: str, trials: int | None, slots: int, objectives: Objectives, seed: int) -> Metrics:
    log_only_errors()
    return chosen(searched(table, trials, slots, objectives, seed), objectives)


def _table(table: str, of_each: Mapping[str, list[Metrics]]) -> str:
    lines = [
        f"### {table}\n",
        "| objectives | nmi | prior_rmse | nmi_real | classes_found | regret of nmi (median; 90 %)",
    ]
    lines[-1] += " | regret of prior_rmse |"
    lines.append("|" + "---|" * 7)
    for name, metrics in of_each.items():
        medians = " | ".join(f"{np.median([m[metric] for m in metrics]):.3f}" for metric in SHOWN)
        regrets = " | ".join(_regret(metrics, of_each[LABELLED], metric) for metric in ("nmi", "prior_rmse"))
        lines.append(f"| {name} | {medians} | {regrets} |")
    return "\n".join(lines) + "\n"


def _regret(metrics: Sequence[Metrics], labelled: Sequence[Metrics], metric: str) -> str:
    worse = [SHOWN[metric] * (best[metric] - own[metric]) for own, best in zip(metrics, labelled, strict=True)]
    return f"{np.median(worse):+.3f}; {np.quantile(worse, 0.9):+.3f}"


if __name__ == "__main__":
    main()
