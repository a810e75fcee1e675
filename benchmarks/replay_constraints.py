"""Constraints in replays of recorded curves: what telling Optuna of them does, and what ranking by them at rungs does.

    python -m benchmarks.replay_constraints [--replays 20] [--grace 400] [--reduction-factor 3] [--trials 64]

The curves are those of `benchmarks.replay`. For each constraint, three searches: Optuna knows nothing of it; Optuna is
told at every rung, as eig-tune does; and trials that meet it also come first at the rungs of successive halving. Of
each the hypervolume of the finished trials that meet the constraint is given, as a share of that of all recorded ones,
at the end and when a fifth of the steps of 64 full trials are spent; and how many finished trials meet it.
"""

import argparse
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from optuna._hypervolume import compute_hypervolume

from benchmarks.machine import description
from benchmarks.replay import HERE, OBJECTIVES, RANDOM_TRIALS, Array, Curves, Table, TableSampler, read_curves
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.objectives import Metrics, losses_of, missed
from eig_tune.hpo.optuna_log import log_only_errors
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.simulation import simulate_search
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Trial

CURVES, SPACE = HERE / "replay_curves.parquet", HERE / "replay_space.yaml"
CONSTRAINTS = ({"nmi_real": ">= 0.7"}, {"prior_posterior_gap": "<= 0.1"}, {"augment_agreement": ">= 0.96"})
VARIANTS = {"not told": (False, False), "told at every rung": (True, False), "told, and first at rungs": (True, True)}
_PENALTY = 1_000.0  # more than any difference of losses


class _Policy(SearchPolicy):
    """A search that tells Optuna of its constraints or not, and ranks by them at its rungs or not."""

    def __init__(self, spec: SearchSpec, table: Table, told: bool, at_rungs: bool) -> None:
        super().__init__(spec, TableSampler(spec, table))
        self._told, self._at_rungs = told, at_rungs

    def _learn(self, trial: Trial, step: int, metrics: Metrics) -> int | None:
        losses = losses_of(metrics, self.objectives)
        excesses = [bound.relative_excess(metrics[name]) for name, bound in self.constraints.items()]
        penalty = _PENALTY * sum(max(0.0, excess) for excess in excesses) if self._at_rungs else 0.0
        rung = self._halving.enter(trial.number, step, tuple(loss + penalty for loss in losses))
        for reached in filter(None, (rung, self._steps if step >= self._steps else None)):
            self._sampler.observe(trial.number, reached, trial.params, losses, excesses if self._told else ())
        return rung


def run(
    arguments: argparse.Namespace, constraints: Mapping[str, str], told: bool, at_rungs: bool, seed: int
) -> list[tuple[int, Metrics]]:
    """One replay: (steps spent, metrics) of what finished."""
    log_only_errors()
    spec = _spec(arguments, constraints, seed)
    table = Table(spec, read_curves(CURVES, spec))
    engine = Engine(_Policy(spec, table, told, at_rungs), SearchState())
    return [
        (reported.spent, table.measured(reported.trial, reported.step))
        for reported in simulate_search(engine, table.measured, table.curves.steps, arguments.slots)
        if reported.step == spec.train.steps
    ]


def _spec(arguments: argparse.Namespace, constraints: Mapping[str, str], seed: int = 0) -> SearchSpec:
    asha = {"asha.grace": arguments.grace, "asha.reduction_factor": arguments.reduction_factor}
    return load_spec(
        SPACE, {**asha, "seed": seed, "trials": arguments.trials, "sampler": "tpe", "constraints": dict(constraints)}
    )


def main() -> None:
    """Replay every variant under every constraint and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("replays", 20), ("grace", 400), ("reduction-factor", 3), ("trials", 64), ("slots", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{description()}\n\n{arguments.replays} replays, rungs from {arguments.grace} steps\n")
    print(
        "| constraint | Optuna is | hypervolume at the end (mean) | at 1/5 of the steps | finished, of these meet it |"
    )
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(arguments.processes) as pool:
        for constraints in CONSTRAINTS:
            measure = _Measure(_spec(arguments, constraints))
            for name, (told, at_rungs) in VARIANTS.items():
                one = partial(run, arguments, constraints, told, at_rungs)
                print(f"| {constraints} | {name} | {measure.row(list(pool.map(one, range(arguments.replays))))} |")


class _Measure:
    """Hypervolumes of the trials that meet the constraints of ``spec``, as shares of that of all recorded ones."""

    def __init__(self, spec: SearchSpec) -> None:
        curves: Curves = read_curves(CURVES, spec)
        finals = [reports[-1] for reports in curves.reports]
        self._spec = spec
        self._reference_2: Array = np.median([losses_of(metrics, OBJECTIVES) for metrics in finals], axis=0)
        self._whole = 1.0
        self._whole = self._volume(finals)

    def row(self, runs: list[list[tuple[int, Metrics]]]) -> str:
        early = RANDOM_TRIALS * self._spec.train.steps // 5
        at_end = np.mean([self._volume([metrics for _, metrics in of]) for of in runs])
        by_then = np.mean([self._volume([metrics for spent, metrics in of if spent <= early]) for of in runs])
        finished = np.mean([len(of) for of in runs])
        meeting = np.mean([len(self._meeting([metrics for _, metrics in of])) for of in runs])
        return f"{at_end:.3f} | {by_then:.3f} | {finished:.1f}, {meeting:.1f}"

    def _meeting(self, finished: list[Metrics]) -> list[Metrics]:
        return [metrics for metrics in finished if not missed(metrics, self._spec.constraints)]

    def _volume(self, finished: list[Metrics]) -> float:
        meeting = [losses_of(metrics, OBJECTIVES) for metrics in self._meeting(finished)]
        if not meeting:
            return 0.0
        return float(compute_hypervolume(np.minimum(meeting, self._reference_2), self._reference_2)) / self._whole


if __name__ == "__main__":
    main()
