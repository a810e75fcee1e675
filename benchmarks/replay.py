"""Samplers and schedulers against recorded learning curves: how many steps each needs for a good Pareto front.

    eig-tune search --space benchmarks/replay_space.yaml --name curves --gpus 0     (about 55 minutes on two cores)
    python -m benchmarks.replay [--curves eig-runs/studies/curves/curves.parquet] [--replays 50] [--slots 4]

Nothing is trained. What is proposed becomes the nearest recorded trial (every range scaled to 0..1) that this replay
has not used yet: the policy sees that trial's curve, and that trial's params. Only trials trained to the full
budget count. The target is the hypervolume that 64 random trials reach when nothing is stopped, in the median of many
draws of 64; the point that hypervolume is measured from is the median of the table in both objectives, so that only the
better half counts.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume

from benchmarks.machine import description
from eig_tune.config.space import SearchSpec, load_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.objectives import losses_of
from eig_tune.hpo.optuna_log import log_only_errors
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.sampler import OptunaSampler, Params
from eig_tune.hpo.simulation import Reported, simulate, simulate_search
from eig_tune.hpo.state import SearchState
from eig_tune.reports.curves import PARAM_PREFIX
from eig_tune.reports.curves import read_curves as read_table

HERE = Path(__file__).parent
RANDOM_TRIALS = 64
TARGET_DRAWS = 2_000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """R recorded trials with T reports each: where they lie in the space [R, P], their params, what they reported."""

    positions: Array
    params: tuple[Params, ...]
    steps: tuple[int, ...]
    reports: tuple[tuple[Mapping[str, float], ...], ...]


class Table:
    """The curves of one replay, each of which is given away once."""

    def __init__(self, spec: SearchSpec, curves: Curves) -> None:
        self.curves = curves
        self.taken: list[int] = []  # by trial
        self._spec = spec

    def take(self, params: Params) -> Params:
        """The next trial becomes the unused curve nearest to ``params``; the params of that one."""
        distances = np.linalg.norm(self.curves.positions - position(self._spec, params), axis=1)
        distances[self.taken] = np.inf
        self.taken.append(int(distances.argmin()))
        return self.curves.params[self.taken[-1]]

    def measured(self, number: int, step: int) -> Mapping[str, float]:
        """What trial ``number`` reports at ``step``."""
        return self.curves.reports[self.taken[number]][self.curves.steps.index(step)]


class TableSampler(OptunaSampler):
    """Proposes recorded trials: the nearest to what Optuna proposes, which Optuna then takes for its own proposals."""

    def __init__(self, spec: SearchSpec, table: Table) -> None:
        super().__init__(spec)
        self._table = table

    def draw(self, trial: optuna.Trial) -> Params:
        recorded = self._table.take(super().draw(trial))
        _move(trial.study, trial.number, recorded)
        return recorded


def our_engine(spec: SearchSpec, table: Table, slots: int) -> Iterator[Reported]:
    """eig-tune's engine as a search runs it, but for its event log."""
    engine = Engine(SearchPolicy(spec, TableSampler(spec, table)), SearchState())
    return simulate_search(engine, table.measured, table.curves.steps, slots)


def stock_ray(spec: SearchSpec, table: Table, slots: int) -> Iterator[Reported]:
    """Ray's OptunaSearch and ASHAScheduler on NMI, as its tutorials put them together."""
    stock = _StockRay(spec, table)
    return simulate(stock.propose, stock.goes_on, table.curves.steps, slots)


@dataclass(frozen=True)
class _RayTrial:
    trial_id: str


class _StockRay:
    def __init__(self, spec: SearchSpec, table: Table) -> None:
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
        self._num_trials = spec.trials

    def propose(self) -> int | None:
        number = len(self._table.taken)
        if number >= self._num_trials:
            return None
        self._scheduler.on_trial_add(None, _RayTrial(str(number)))
        recorded = self._table.take(self._searcher.suggest(str(number)))
        _move(self._searcher._ot_study, self._searcher._ot_trials[str(number)].number, recorded)
        return number

    def goes_on(self, number: int, step: int) -> bool:
        result = {**self._table.measured(number, step), "step": step, "training_iteration": step}
        self._searcher.on_trial_result(str(number), result)
        if self._scheduler.on_trial_result(None, _RayTrial(str(number)), result) == "CONTINUE":
            return True
        self._searcher.on_trial_complete(str(number), result)
        self._scheduler.on_trial_complete(None, _RayTrial(str(number)), result)
        return False


def _move(study: optuna.Study, number: int, params: Params) -> None:
    """Let a running trial have other params than Optuna has proposed, which Optuna has no public way to do."""
    storage, trial = study._storage, study.get_trials(deepcopy=False)[number]
    for name, distribution in trial.distributions.items():
        storage.set_trial_param(trial._trial_id, name, distribution.to_internal_repr(params[name]), distribution)


def read_curves(file: Path, spec: SearchSpec) -> Curves:
    """The trials of a table that were trained to the full budget."""
    trials: dict[int, list[dict[str, Any]]] = {}
    for row in read_table(file).to_pylist():
        trials.setdefault(row["trial"], []).append(row)
    whole = [sorted(t, key=lambda r: int(r["step"])) for t in trials.values()]
    whole = [rows for rows in whole if rows[-1]["step"] == spec.train.steps]
    params = [{name: rows[0][f"{PARAM_PREFIX}{name}"] for name in spec.search} for rows in whole]
    return Curves(
        np.array([position(spec, one) for one in params]),
        tuple(params),
        tuple(row["step"] for row in whole[0]),
        tuple(tuple(_metrics(row) for row in rows) for rows in whole),
    )


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, float) and name != "at"}


def position(spec: SearchSpec, params: Params) -> Array:
    """A point of the space, each parameter scaled to 0..1 (on a log scale where it is searched on one)."""
    coordinates = []
    for name, searched in spec.search.items():
        low, high = searched.extremes()
        scale: Callable[[Any], float] = np.log if searched.loguniform is not None else float
        coordinates.append((scale(params[name]) - scale(low)) / (scale(high) - scale(low)))
    return np.array(coordinates)


def hypervolumes(points: list[tuple[int, tuple[float, ...]]], reference_2: Array) -> list[tuple[int, float]]:
    """(Steps spent, hypervolume of all that has finished by then), rising."""
    reached, losses = [], []
    for spent, loss in points:
        losses.append(np.minimum(loss, reference_2))
        reached.append((spent, float(compute_hypervolume(np.array(losses), reference_2))))
    return reached


@dataclass(frozen=True)
class Contender:
    """One row of the table: what runs trials in slots, what it changes in the space file, and whether it stops any."""

    name: str
    search: Callable[[SearchSpec, Table, int], Iterator[Reported]]
    changes: Mapping[str, Any]
    stops: bool = True


OBJECTIVES = {"nmi": "maximize", "prior_rmse": "minimize"}
NMI_ALONE = {"objectives": {"nmi": "maximize"}}
CONTENDERS = (
    Contender("random", our_engine, {"sampler": "random"}, stops=False),
    Contender("random + ASHA on NMI", our_engine, {"sampler": "random", **NMI_ALONE}),
    Contender("random + two-objective ASHA", our_engine, {"sampler": "random"}),
    Contender("NSGA-II", our_engine, {"sampler": "nsga2"}, stops=False),
    Contender("NSGA-II + two-objective ASHA", our_engine, {"sampler": "nsga2"}),
    Contender("TPE", our_engine, {"sampler": "tpe"}, stops=False),
    Contender("Ray's OptunaSearch + ASHAScheduler", stock_ray, {}),
    Contender("eig-tune: TPE + two-objective ASHA", our_engine, {"sampler": "tpe"}),
)


def run(contender: Contender, curves_file: Path, arguments: argparse.Namespace, seed: int) -> list[Any]:
    """One replay of one contender: (steps spent, losses) of what it finished."""
    log_only_errors()
    grace = arguments.grace if contender.stops else load_spec(arguments.space).train.steps
    common = {"seed": seed, "trials": arguments.trials, "asha.grace": grace}
    common["asha.reduction_factor"] = arguments.reduction_factor
    spec = load_spec(arguments.space, {**common, **contender.changes})
    table = Table(spec, read_curves(curves_file, spec))
    return [
        (reported.spent, losses_of(table.measured(reported.trial, reported.step), OBJECTIVES))
        for reported in contender.search(spec, table, arguments.slots)
        if reported.step == spec.train.steps
    ]


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
    budget, target = RANDOM_TRIALS * spec.train.steps, target_of(finals_R2, reference_2, RANDOM_TRIALS)
    print(f"{description()}\n\n{len(finals_R2)} curves, {arguments.replays} replays of {arguments.trials} trials in")
    print(f"{arguments.slots} slots; {speed:,.0f} trials a minute; target hypervolume {target:.5f}\n")
    print(_table(reached, target, budget))


def target_of(finals_R2: Array, reference_2: Array, drawn: int) -> float:
    """The median hypervolume of so many trials drawn at random from the table."""
    random = np.random.default_rng(0)
    draws = [random.choice(finals_R2, drawn, replace=False) for _ in range(TARGET_DRAWS)]
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


def steps_to(curve: list[tuple[int, float]], target: float) -> float:
    """Steps spent when the target is reached; infinite when it never is."""
    return next((float(spent) for spent, volume in curve if volume >= target), float("inf"))


def _table(reached: Mapping[str, list[list[tuple[int, float]]]], target: float, budget: int) -> str:
    lines = [
        "| | steps to the target, share of 64 full trials (median; quartiles) | replays that reach it "
        "| hypervolume at 1/5 of the steps, of the target's |",
        "|---|---|---|---|",
    ]
    for name, curves in reached.items():
        shares = np.array([steps_to(curve, target) / budget for curve in curves])
        low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75], method="nearest")
        early = np.median([_at(curve, budget // 5) for curve in curves]) / target
        cells = (
            f"{written(middle)} ({written(low)} to {written(high)}) | {np.isfinite(shares).mean():.0%} | {early:.0%}"
        )
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def written(value: float) -> str:
    """A share of steps in a table."""
    return f"{value:.2f}" if np.isfinite(value) else "never"


if __name__ == "__main__":
    main()
