"""What searches without labels bring home against searches with labels: their finalists, trained on fresh seeds.

    python -m benchmarks.confirmed --space SPACE [--root FOLDER] --table mnist [--searches 12]

A recorded table (benchmarks.label_free) is searched with and without labels, with several seeds of the search. The best
three trials of each search are trained on three fresh seeds each, evaluated by the second classifier, and the best of
the three is chosen by those means, as a search does at its end; what several searches have found is trained once.
Regret is by how much the means of the one are worse than those of the other, of two searches with the same seed.

The seeds of a trial differ by luck, about equally in all trials: its standard deviation, pooled over all trials, is the
standard error of what one seed has found. The last row counts the searches whose confirmed mean lies within it.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.label_free import LABEL_FREE, LABELLED, OBJECTIVES, SHOWN, TABLES, searched
from benchmarks.machine import description
from benchmarks.many_runs import Job, train_all
from eig_tune.config.constraints import NO_CONSTRAINTS
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.hpo.candidates import Candidate, Confirmed, candidates_of
from eig_tune.hpo.objectives import Metrics, mean_and_deviation
from eig_tune.hpo.optuna_log import log_only_errors
from eig_tune.hpo.selection import choose, to_confirm

TOP, SEEDS = 3, 3
COMPARED = {**SHOWN, "label_free_score": 1, "augment_information": 1}
Finalists = dict[str, list[Sequence[Candidate]]]  # by the name of the objectives, for each search


def main() -> None:
    """Train all finalists and print the table."""
    arguments = _arguments()
    log_only_errors()
    found = finalists(arguments.table, arguments.searches)
    jobs = confirming_jobs(_spec(arguments), arguments.table, _all(found))
    with tempfile.TemporaryDirectory() as folder:
        log, cache = arguments.log or Path(folder, "log"), arguments.cache.expanduser()
        done = train_all(jobs, log, cache, arguments.processes)
    ends = {name: reports[max(reports)] for name, reports in done.items()}
    print(f"{description()}\n\n### {arguments.table}: {arguments.searches} searches of either kind, {len(jobs)} runs\n")
    print(table_of(found, ends))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, required=True, help="of the data set")
    parser.add_argument("--root", help="where the images lie")
    parser.add_argument("--table", required=True)
    parser.add_argument("--searches", type=int, default=12)
    parser.add_argument("--log", type=Path, help="where runs are kept; with it, a later call goes on")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/eig-tune"), help="of evaluation classifiers")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def _spec(arguments: argparse.Namespace) -> SearchSpec:
    return load_spec(arguments.space, {"dataset.root": arguments.root} if arguments.root else None)


def finalists(table: str, searches: int) -> Finalists:
    """What either kind of search would confirm."""
    found: Finalists = {}
    for name in (LABELLED, LABEL_FREE):
        ended = [candidates_of(searched(table, None, 2, OBJECTIVES[name], seed)) for seed in range(searches)]
        found[name] = [to_confirm(trials, OBJECTIVES[name], NO_CONSTRAINTS, TOP) for trials in ended]
    return found


def _all(found: Finalists) -> Iterable[Candidate]:
    return (trial for searches in found.values() for trials in searches for trial in trials)


def confirming_jobs(spec: SearchSpec, table: str, trials: Iterable[Candidate]) -> dict[str, Job]:
    """The fresh runs of all these trials, by name."""
    steps = json.loads((TABLES / f"{table}.json").read_text())["steps"]
    jobs = {}
    for trial, seed in product(trials, range(SEEDS)):
        params = {**trial.trial.params, "steps": steps, "report_every": steps}
        jobs[_name(trial, seed)] = Job(
            spec.dataset, spec.fixed_config(spec.method, 1000 + seed, params), "confirmation"
        )
    return jobs


def _name(trial: Candidate, seed: int) -> str:
    return f"{dict(trial.trial.params)}, seed {seed}"


def table_of(found: Finalists, ends: Mapping[str, Metrics]) -> str:
    """Means over searches of what they found and what was confirmed of it, and the median regret, as Markdown."""
    luck = _luck(_all(found), ends)
    chosen = {name: [_chosen(name, trials, ends) for trials in searches] for name, searches in found.items()}
    lines = ["| | " + " | ".join(COMPARED) + " |", "|" + "---|" * (1 + len(COMPARED))]
    for name, best in chosen.items():
        lines.append(f"| {name} | " + " | ".join(_found_and_confirmed(best, metric) for metric in COMPARED) + " |")
    pairs = list(zip(chosen[LABELLED], chosen[LABEL_FREE], strict=True))
    regrets = {m: [sign * (_mean(a, m) - _mean(b, m)) for a, b in pairs] for m, sign in COMPARED.items()}
    cells = (f"{np.median(of):+.3f}; {np.quantile(of, 0.9):+.3f}" for of in regrets.values())
    lines.append("| regret, median and worst tenth | " + " | ".join(cells) + " |")
    for name, best in chosen.items():
        within = (sum(abs(t.found[m] - _mean(t, m)) <= luck[m] for t in best) for m in COMPARED)
        lines.append(
            f"| within one standard error, {name} | " + " | ".join(f"{n} of {len(best)}" for n in within) + " |"
        )
    return "\n".join(lines) + "\n"


def _chosen(name: str, trials: Sequence[Candidate], ends: Mapping[str, Metrics]) -> Candidate:
    confirmed = [_confirmed(trial, ends) for trial in trials]
    return choose(confirmed, OBJECTIVES[name], NO_CONSTRAINTS)


def _confirmed(trial: Candidate, ends: Mapping[str, Metrics]) -> Candidate:
    reached = _reached(trial, ends)
    of_metric = {metric: mean_and_deviation([metrics[metric] for metrics in reached]) for metric in reached[0]}
    means = {metric: mean for metric, (mean, _) in of_metric.items()}
    deviations = {metric: deviation for metric, (_, deviation) in of_metric.items()}
    return replace(trial, confirmation=Confirmed(trial.number, SEEDS, SEEDS, 0, means, deviations))


def _reached(trial: Candidate, ends: Mapping[str, Metrics]) -> list[Metrics]:
    return [ends[_name(trial, seed)] for seed in range(SEEDS)]


def _luck(trials: Iterable[Candidate], ends: Mapping[str, Metrics]) -> dict[str, float]:
    """Standard deviation between the seeds of a trial, pooled over trials."""
    distinct = {_name(trial, 0): _reached(trial, ends) for trial in trials}.values()
    of_metric = {metric: [[run[metric] for run in runs] for runs in distinct] for metric in COMPARED}
    return {metric: float(np.sqrt(np.mean(np.var(of, axis=1, ddof=1)))) for metric, of in of_metric.items()}


def _mean(trial: Candidate, metric: str) -> float:
    assert trial.confirmation is not None, "only confirmed trials are chosen"
    return trial.confirmation.means[metric]


def _found_and_confirmed(best: Sequence[Candidate], metric: str) -> str:
    return f"{np.mean([t.found[metric] for t in best]):.3f} → {np.mean([_mean(t, metric) for t in best]):.3f}"


if __name__ == "__main__":
    main()
