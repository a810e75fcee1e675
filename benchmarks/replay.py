"""Samplers and schedulers against recorded learning curves: how many steps each needs for a good Pareto front.

    eig-tune search --space benchmarks/replay_space.yaml --name curves --gpus 0     (about 55 minutes on two cores)
    python -m benchmarks.replay [--curves eig-runs/studies/curves/curves.parquet] [--replays 50] [--slots 4]

Nothing is trained. What is proposed becomes the nearest recorded trial (every range scaled to 0..1) that this replay
has not used yet: the policy is told that trial's curve, and that trial's values. Only trials trained to the full
budget count. The target is the hypervolume that 64 random trials reach when nothing is stopped, in the median of many
draws of 64; the point that hypervolume is measured from is the median of the table in both objectives, so that only the
better half counts.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume

from benchmarks.machine import description
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.objectives import losses_of
from eig_tune.hpo.policies import Searching
from eig_tune.hpo.simulation import simulate
from eig_tune.reports.curves import PARAM_PREFIX
from eig_tune.reports.curves import read_curves as read_table

HERE = Path(__file__).parent
RANDOM_TRIALS = 64
TARGET_DRAWS = 2_000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """R recorded trials with T reports each: where they lie in the space [R, P], their values, what they reported."""

    positions: Array
    values: tuple[Mapping[str, Any], ...]
    steps: tuple[int, ...]
    reports: tuple[tuple[Mapping[str, float], ...], ...]


class Table:
    """The curves of one replay, each of which is given away once."""

    def __init__(self, spec: SearchSpec, curves: Curves) -> None:
        self.curves = curves
        self.taken: dict[int, int] = {}
        self._spec = spec

    def take(self, number: int, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Trial ``number`` becomes the unused curve nearest to ``values``; the values of that one."""
        distances = np.linalg.norm(self.curves.positions - position(self._spec, values), axis=1)
        distances[list(self.taken.values())] = np.inf
        self.taken[number] = int(distances.argmin())
        return self.curves.values[self.taken[number]]


class Policy(Protocol):
    """What decides: proposes trials, and says after every report whether its trial goes on."""

    def propose(self) -> int | None:
        """The trial that gets a free slot, a new one or one that has been at rest; None when there is none now."""

    def goes_on(self, number: int, step: int, metrics: Mapping[str, float]) -> bool:
        """Take a report."""


class OurEngine:
    """eig-tune's engine as a search runs it, event log included."""

    def __init__(self, spec: SearchSpec, table: Table, folder: Path) -> None:
        self._engine = Engine(_SearchingTable(spec, table), EventLog(folder / "events.jsonl"))

    def propose(self) -> int | None:
        trial = self._engine.propose()
        return None if trial is None else trial.number

    def goes_on(self, number: int, step: int, metrics: Mapping[str, float]) -> bool:
        if self._engine.report(number, step, metrics).decision == "running":
            return True
        self._engine.checkpointed(number, "", step)
        self._engine.end(number)
        return False


class _SearchingTable(Searching):
    """A search whose trials are those of a table."""

    def __init__(self, spec: SearchSpec, table: Table) -> None:
        super().__init__(spec)
        self._table = table

    def propose(self, number: int) -> Mapping[str, Any]:
        recorded = self._table.take(number, super().propose(number))
        rung, asked = self._sampler._asked[number]
        _move(self._sampler._studies[rung], asked, recorded)
        return recorded


@dataclass(frozen=True)
class _RayTrial:
    trial_id: str


class StockRay:
    """Ray's OptunaSearch and ASHAScheduler on NMI, as its tutorials put them together."""

    def __init__(self, spec: SearchSpec, table: Table, folder: Path) -> None:
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search.optuna import OptunaSearch

        space = {name: distribution.for_optuna() for name, distribution in spec.search.items()}
        self._searcher = OptunaSearch(space, metric="nmi", mode="max", seed=spec.seed)
        self._scheduler = ASHAScheduler(
            time_attr="step",
            metric="nmi",
            mode="max",
            max_t=spec.train.steps,
            grace_period=spec.asha.grace,
            reduction_factor=spec.asha.reduction_factor,
        )
        self._table = table
        self._wanted = spec.trials

    def propose(self) -> int | None:
        number = len(self._table.taken)
        if number >= self._wanted:
            return None
        self._scheduler.on_trial_add(None, _RayTrial(str(number)))
        recorded = self._table.take(number, self._searcher.suggest(str(number)))
        _move(self._searcher._ot_study, self._searcher._ot_trials[str(number)].number, recorded)
        return number

    def goes_on(self, number: int, step: int, metrics: Mapping[str, float]) -> bool:
        result = {**metrics, "step": step, "training_iteration": step}
        self._searcher.on_trial_result(str(number), result)
        if self._scheduler.on_trial_result(None, _RayTrial(str(number)), result) == "CONTINUE":
            return True
        self._searcher.on_trial_complete(str(number), result)
        self._scheduler.on_trial_complete(None, _RayTrial(str(number)), result)
        return False


def _move(study: optuna.Study, number: int, values: Mapping[str, Any]) -> None:
    """Let a running trial of Optuna's have other values than it has proposed."""
    storage, trial = study._storage, study.get_trials(deepcopy=False)[number]
    for name, distribution in trial.distributions.items():
        storage.set_trial_param(trial._trial_id, name, distribution.to_internal_repr(values[name]), distribution)


def read_curves(file: Path, spec: SearchSpec) -> Curves:
    """The trials of a table that were trained to the full budget."""
    trials: dict[int, list[dict[str, Any]]] = {}
    for row in read_table(file).to_pylist():
        trials.setdefault(row["trial"], []).append(row)
    whole = [sorted(t, key=lambda r: int(r["step"])) for t in trials.values()]
    whole = [rows for rows in whole if rows[-1]["step"] == spec.train.steps]
    values = [{name: rows[0][f"{PARAM_PREFIX}{name}"] for name in spec.search} for rows in whole]
    return Curves(
        np.array([position(spec, one) for one in values]),
        tuple(values),
        tuple(row["step"] for row in whole[0]),
        tuple(tuple(_metrics(row) for row in rows) for rows in whole),
    )


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, float) and name != "at"}


def position(spec: SearchSpec, values: Mapping[str, Any]) -> Array:
    """A point of the space, each parameter scaled to 0..1 (on a log scale where it is searched on one)."""
    coordinates = []
    for name, searched in spec.search.items():
        low, high = searched.extremes()
        scale: Callable[[Any], float] = np.log if searched.loguniform is not None else float
        coordinates.append((scale(values[name]) - scale(low)) / (scale(high) - scale(low)))
    return np.array(coordinates)


def replay(policy: Policy, table: Table, slots: int) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Run all trials; yields (steps spent by all slots, metrics) for every trial at its full budget."""
    steps = table.curves.steps

    def metrics(number: int, step: int) -> Mapping[str, float]:
        return table.curves.reports[table.taken[number]][steps.index(step)]

    def goes_on(number: int, step: int) -> bool:
        return policy.goes_on(number, step, metrics(number, step))

    for reported in simulate(policy.propose, goes_on, steps, slots):
        if reported.step == steps[-1]:
            yield reported.spent, metrics(reported.trial, reported.step)


def hypervolumes(points: list[tuple[int, tuple[float, ...]]], reference_2: Array) -> list[tuple[int, float]]:
    """(Steps spent, hypervolume of all that has finished by then), rising."""
    reached, losses = [], []
    for spent, loss in points:
        losses.append(np.minimum(loss, reference_2))
        reached.append((spent, float(compute_hypervolume(np.array(losses), reference_2))))
    return reached


@dataclass(frozen=True)
class Contender:
    """One row of the table: a policy, what it changes in the space file, and whether it stops trials early."""

    name: str
    policy: Callable[[SearchSpec, Table, Path], Policy]
    changes: Mapping[str, Any]
    stops: bool = True


OBJECTIVES = {"nmi": "maximize", "prior_rmse": "minimize"}
NMI_ALONE = {"objectives": {"nmi": "maximize"}}
CONTENDERS = (
    Contender("random", OurEngine, {"sampler": "random"}, stops=False),
    Contender("random + ASHA on NMI", OurEngine, {"sampler": "random", **NMI_ALONE}),
    Contender("random + two-objective ASHA", OurEngine, {"sampler": "random"}),
    Contender("NSGA-II", OurEngine, {"sampler": "nsga2"}, stops=False),
    Contender("NSGA-II + two-objective ASHA", OurEngine, {"sampler": "nsga2"}),
    Contender("TPE", OurEngine, {"sampler": "tpe"}, stops=False),
    Contender("Ray's OptunaSearch + ASHAScheduler", StockRay, {}),
    Contender("eig-tune: TPE + two-objective ASHA", OurEngine, {"sampler": "tpe"}),
)


def run(contender: Contender, curves_file: Path, arguments: argparse.Namespace, seed: int) -> list[Any]:
    """One replay of one contender: (steps spent, losses) of what it finished."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    grace = arguments.grace if contender.stops else load_spec(arguments.space).train.steps
    common = {"seed": seed, "trials": arguments.trials, "asha.grace": grace}
    common["asha.reduction_factor"] = arguments.reduction_factor
    spec = load_spec(arguments.space, {**common, **contender.changes})
    with tempfile.TemporaryDirectory(dir="/dev/shm" if sys.platform == "linux" else None) as folder:
        table = Table(spec, read_curves(curves_file, spec))
        finished = replay(contender.policy(spec, table, Path(folder)), table, arguments.slots)
        return [(spent, losses_of(metrics, OBJECTIVES)) for spent, metrics in finished]


def main() -> None:
    """Replay every contender and print a Markdown table."""
    arguments = _arguments()
    spec = load_spec(arguments.space)
    curves = read_curves(arguments.curves, spec)
    finals_R2 = np.array([losses_of(reports[-1], OBJECTIVES) for reports in curves.reports])
    reference_2 = np.median(finals_R2, axis=0)
    reached: dict[str, list[list[tuple[int, float]]]] = {}
    started = time.monotonic()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for contender in CONTENDERS:
            one = partial(run, contender, arguments.curves, arguments)
            reached[contender.name] = [
                hypervolumes(points, reference_2) for points in pool.map(one, range(arguments.replays))
            ]
    trials = len(CONTENDERS) * arguments.replays * arguments.trials
    speed = trials / (time.monotonic() - started) * 60
    budget, target = RANDOM_TRIALS * spec.train.steps, _target(finals_R2, reference_2)
    print(f"{description()}\n\n{len(finals_R2)} curves, {arguments.replays} replays of {arguments.trials} trials in")
    print(f"{arguments.slots} slots; {speed:,.0f} trials a minute; target hypervolume {target:.5f}\n")
    print(_table(reached, target, budget))


def _target(finals_R2: Array, reference_2: Array) -> float:
    """The median hypervolume of 64 trials drawn at random from the table."""
    random = np.random.default_rng(0)
    draws = [random.choice(finals_R2, RANDOM_TRIALS, replace=False) for _ in range(TARGET_DRAWS)]
    volumes = [compute_hypervolume(np.minimum(drawn, reference_2), reference_2) for drawn in draws]
    return float(np.median(volumes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, default=HERE / "replay_space.yaml")
    parser.add_argument("--curves", type=Path, default=HERE / "replay_curves.parquet")
    parser.add_argument("--replays", type=int, default=50)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--trials", type=int, default=128, help="at most so many trials in a replay")
    parser.add_argument("--grace", type=int, default=100)
    parser.add_argument("--reduction-factor", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def _at(curve: list[tuple[int, float]], budget: int) -> float:
    """The hypervolume when ``budget`` steps are spent."""
    return max((volume for spent, volume in curve if spent <= budget), default=0.0)


def _steps_to(curve: list[tuple[int, float]], target: float) -> float:
    """Steps spent when the target is reached; infinite when it never is."""
    return next((float(spent) for spent, volume in curve if volume >= target), float("inf"))


def _table(reached: Mapping[str, list[list[tuple[int, float]]]], target: float, budget: int) -> str:
    lines = [
        "| | steps to the target, share of 64 full trials (median; quartiles) | replays that reach it "
        "| hypervolume at 1/5 of the steps, of the target's |",
        "|---|---|---|---|",
    ]
    for name, curves in reached.items():
        shares = np.array([_steps_to(curve, target) / budget for curve in curves])
        low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75], method="nearest")
        early = np.median([_at(curve, budget // 5) for curve in curves]) / target
        cells = f"{_share(middle)} ({_share(low)} to {_share(high)}) | {np.isfinite(shares).mean():.0%} | {early:.0%}"
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def _share(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "never"


if __name__ == "__main__":
    main()
