"""Running a search: data, judge, Ray, MLflow and the engine brought together."""

import json
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from eig_tune.data import ImageData
from eig_tune.errors import ConfigError, Problem, ResultError
from eig_tune.evaluation import figures
from eig_tune.tracking import OBJECTIVES_TAG, SearchTracker, open_store
from eig_tune.training import TrialData
from eig_tune.tuning.cluster import Resources, resources, start_ray
from eig_tune.tuning.engine import Engine
from eig_tune.tuning.home import Home
from eig_tune.tuning.journal import MlflowJournal
from eig_tune.tuning.ledger import Ledger, Trial
from eig_tune.tuning.prepare import prepare_data
from eig_tune.tuning.progress import Console, Terminal
from eig_tune.tuning.space import SearchSpec

_LIBRARIES = ("eig-tune", "ray", "optuna", "mlflow", "torch", "torchvision", "kornia", "numpy", "scikit-learn")


@dataclass(frozen=True)
class SearchOptions:
    """Where and with what a search runs; none of it changes what is searched."""

    name: str
    tracking_uri: str
    gpus: int | None = None
    trials_per_gpu: int = 1
    cpus: int | None = None
    address: str | None = None
    resume: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a search has come to."""

    name: str
    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    slots: int
    wall_seconds: float
    tracking_errors: tuple[str, ...]

    def total(self, metric: str) -> float:
        """Sum of a reported quantity, such as ``train_seconds``, over all reports of all trials."""
        return sum(report.metrics[metric] for trial in self.trials for report in trial.reports.values())


def run_search(spec: SearchSpec, options: SearchOptions, home: Home, console: Console) -> Outcome:
    """Run a search to its end, or as far as it gets; what it has reached is never lost.

    Raises:
        EigTuneError: it cannot begin; nothing half-made is left behind.
    """
    started = time.monotonic()
    if home.ledger(options.name).exists() and not options.resume:
        raise ResultError(
            f"--name: there is a search {options.name!r} already; go on with it by --resume, or give another --name"
        )
    with ThreadPoolExecutor() as pool:
        preparing = pool.submit(prepare_data, spec, home, console)
        # In this thread, because the kernel ends Ray's processes together with the thread that started them.
        start_ray(options.address, options.cpus)
        given = resources(options.gpus, options.trials_per_gpu, options.cpus)
        data = preparing.result()
    store = open_store(options.tracking_uri, options.name, home.path)
    with Ledger(home.ledger(options.name)) as ledger:
        _begin_or_check(ledger, spec, data.images, options.name)
        tracker = SearchTracker(store, _parameters(spec, data), _tags(spec))
        tracker.log_artifacts(None, lambda folder: _write_spec(spec, folder))
        journal = MlflowJournal(tracker, data.images.classes, spec.method)
        journal.catch_up(ledger.trials)
        with Terminal(ledger.trials, spec.trials, spec.train.steps, spec.objectives, console) as terminal:
            engine = Engine(spec, ledger, (journal, terminal))
            _fit(engine, data, given, home.ray, terminal.tick)
        _finish(tracker, engine, spec)
        return Outcome(
            options.name,
            tuple(ledger.trials.values()),
            tuple(engine.front()),
            given.slots,
            time.monotonic() - started,
            tuple(tracker.errors),
        )


def _begin_or_check(ledger: Ledger, spec: SearchSpec, images: ImageData, name: str) -> None:
    """Note what makes this search this search, or refuse to go on with another one."""
    identity = {
        "spec": spec.model_dump(mode="json", exclude={"trials"}),
        "data": images.fingerprint(),
    }
    if not ledger.header:
        ledger.begin(identity)
        return
    changed = _differences(ledger.header, identity)
    if changed:
        raise ConfigError(f"--resume: {name!r} was another search; give another --name for this one", changed)


def _differences(before: Any, now: Any, path: str = "") -> list[Problem]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*before, *(key for key in now if key not in before)]
        return [d for key in keys for d in _differences(before.get(key), now.get(key), f"{path}.{key}".strip("."))]
    return [] if before == now else [Problem(path.removeprefix("spec."), f"was {before!r}, is now {now!r}")]


def _fit(engine: Engine, data: TrialData, given: Resources, storage: Path, on_tick: Callable[[], None]) -> None:
    """Let Ray run the engine's trials."""
    from ray import tune

    from eig_tune.tuning.bridge import EngineCallback, EngineScheduler, EngineSearcher
    from eig_tune.tuning.trainable import EigTrainable

    trainable = tune.with_parameters(EigTrainable, data=data, device=given.device)
    searcher = EngineSearcher(engine, lambda trial: _trial_config(engine.spec, trial))
    tuner = tune.Tuner(
        tune.with_resources(trainable, given.per_trial),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=EngineScheduler(engine, searcher),
            num_samples=engine.spec.trials,
            max_concurrent_trials=given.slots,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=f"{time.strftime('%Y%m%d-%H%M%S')}",
            storage_path=str(storage),
            callbacks=[EngineCallback(engine, searcher, on_tick)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=2),
            verbose=0,
        ),
    )
    tuner.fit()


def _trial_config(spec: SearchSpec, trial: Trial) -> dict[str, Any]:
    run = spec.trial_config(trial.number, trial.values)
    return {"run": run.model_dump(mode="json"), "checkpoint": trial.checkpoint}


def _finish(tracker: SearchTracker, engine: Engine, spec: SearchSpec) -> None:
    """The front's picture and the parent's tags; then the writer's last words."""
    finished, best = engine.finished(), {trial.number for trial in engine.front()}
    names = list(spec.objectives)
    if len(names) > 1 and finished:
        points = np.array([[t.last.metrics[name] for name in names[:2]] for t in finished if t.last])
        on_front = np.array([trial.number in best for trial in finished])
        labels = [str(trial.number) for trial in finished]
        tracker.log_artifacts(
            None,
            lambda folder: figures.save_figure(
                figures.front_figure(points, on_front, labels, names), folder / "pareto_front.png"
            ),
        )
    over = all(trial.status != "running" for trial in engine.ledger.trials.values())
    whole = over and len(engine.ledger.trials) >= spec.trials
    tracker.close("FINISHED" if whole else "KILLED", {"front": ",".join(map(str, sorted(best)))})


def _parameters(spec: SearchSpec, data: TrialData) -> dict[str, Any]:
    return {
        "dataset": spec.dataset.name,
        "pool_images": len(data.images.pool),
        "method": spec.method,
        "trials": spec.trials,
        "steps": spec.train.steps,
        "rungs": spec.rungs(),
        "objectives": dict(spec.objectives),
        "judge_accuracy": "none" if data.judge is None else f"{data.judge.accuracy:.4f}",
        **{f"search.{name}": str(distribution) for name, distribution in spec.search.items()},
    }


def _tags(spec: SearchSpec) -> dict[str, str]:
    versions = {f"version.{library}": version(library) for library in _LIBRARIES}
    return {
        **versions,
        "version.python": platform.python_version(),
        "git_commit": _git_commit(),
        OBJECTIVES_TAG: json.dumps(spec.objectives),
    }


def _write_spec(spec: SearchSpec, folder: Path) -> None:
    document = spec.model_dump(mode="json", exclude_none=True)
    (folder / "resolved_space.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _git_commit() -> str:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"
