"""The engine behind Ray's three interfaces: searcher, scheduler and callback. No decision is made here."""

from collections.abc import Callable
from typing import Any

import pyarrow.fs
from ray.tune import Callback, Checkpoint
from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from eig_tune.tuning.engine import Engine
from eig_tune.tuning.ledger import Trial


class _StateIsInTheLedger:
    """Ray pickles its parts to be able to restore them; ours are restored from the ledger instead."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return (object, ())


class EngineSearcher(_StateIsInTheLedger, Searcher):  # type: ignore[misc]
    """Proposes the engine's trials.

    Args:
        make_config: what a trainable is given for a trial.
    """

    def __init__(self, engine: Engine, make_config: Callable[[Trial], dict[str, Any]]) -> None:
        super().__init__()
        self._engine = engine
        self._make_config = make_config
        self.numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        trial = self._engine.propose(trial_id)
        if trial is None:
            return str(Searcher.FINISHED)
        self.numbers[trial_id] = trial.number
        return self._make_config(trial)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The callback tells the engine, once the last checkpoint is whole."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class EngineScheduler(_StateIsInTheLedger, FIFOScheduler):  # type: ignore[misc]
    """Passes reports to the engine and its verdicts to Ray."""

    def __init__(self, engine: Engine, searcher: EngineSearcher) -> None:
        super().__init__()
        self._engine = engine
        self._searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        # Ray hands the scheduler a flattened result.
        metrics = {key.split("/", 1)[1]: value for key, value in result.items() if key.startswith("measured/")}
        metrics |= {name: result[name] for name in ("train_seconds", "evaluation_seconds")}
        report = self._engine.report(self._searcher.numbers[trial.trial_id], result["step"], metrics)
        return str(TrialScheduler.CONTINUE if report.verdict == "running" else TrialScheduler.STOP)


class EngineCallback(_StateIsInTheLedger, Callback):  # type: ignore[misc]
    """Tells the engine of checkpoints and ends, and keeps only each trial's newest checkpoint."""

    def __init__(self, engine: Engine, searcher: EngineSearcher, on_tick: Callable[[], None]) -> None:
        self._engine = engine
        self._searcher = searcher
        self._on_tick = on_tick

    def on_step_end(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:
        self._on_tick()

    def on_checkpoint(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        number = self._searcher.numbers[trial.trial_id]
        older = self._engine.checkpointed(number, checkpoint.path, trial.last_result["step"])
        if older is not None and older != checkpoint.path:
            _delete(older, checkpoint.filesystem)

    def on_trial_complete(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        self._engine.end(self._searcher.numbers[trial.trial_id])

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        last_line = (trial.error_file and _last_line(trial)) or "the worker died"
        self._engine.fail(self._searcher.numbers[trial.trial_id], f"{last_line}; see {trial.error_file or trial.path}")


def _last_line(trial: RayTrial) -> str:
    lines = str(trial.get_error() or "").strip().splitlines()
    return lines[-1] if lines else ""


def _delete(path: str, filesystem: pyarrow.fs.FileSystem) -> None:
    try:
        filesystem.delete_dir(path)
    except FileNotFoundError:
        return
