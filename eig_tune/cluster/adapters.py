"""The engine behind Ray's three interfaces: searcher, scheduler and callback. No decision is made here."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic

from ray.tune import Callback, Checkpoint, ProgressReporter
from ray.tune.experiment import Trial as RayTrial
from ray.tune.result import SHOULD_CHECKPOINT
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from eig_tune.cluster.moved_checkpoints import require_checkpoints
from eig_tune.cluster.ray_private import oldest_without_room
from eig_tune.cluster.replaced_checkpoints import ReplacedCheckpoints
from eig_tune.cluster.storage import IS_NOT_THERE, Storage
from eig_tune.errors import DISK_IS_FULL, MEND_AND_RESUME, CheckpointError, StorageError
from eig_tune.hpo.candidates import run_in_words
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.stages import Stages, StageT
from eig_tune.hpo.trial import HALVED_BATCH, Action, Trial
from eig_tune.stopping import Stop

logger = logging.getLogger(__name__)

_CANNOT_BE_STORED = f"{StorageError.__module__}.{StorageError.__qualname__}: "
_CANNOT_BE_USED = f"{CheckpointError.__module__}.{CheckpointError.__qualname__}: "
_OURS = re.compile(rf"^{re.escape(StorageError.__module__)}\.\w+: ")  # its message is meant for a person
_FULL = [os.strerror(code) for code in DISK_IS_FULL]
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Warning)\b")


class AllTrialsEndedError(Exception):
    """Ends Ray's run when no trial is left. Left to itself, Ray would write a snapshot of all trials and look for their
    tables in the storage, which takes minutes for ten thousand trials and which nobody reads."""


class _RestoredFromEventLog:
    """Pickled as an empty object: Ray pickles its parts to restore them, and these are restored from the event log."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return (object, ())


class EngineSearcher(_RestoredFromEventLog, Searcher, Generic[StageT]):  # type: ignore[misc]
    """Proposes the engines' trials.

    Args:
        stages: propose trials.
        make_config: what a trainable is given for a trial of a stage.
        slots: how many trials may run now. A trial is proposed when it can run and no earlier, so that as many
            results as possible are known by then.
        stop: when nothing more is proposed, even if nothing runs that could be ended.

    Attributes:
        trials: the engine of each trial and its number there, by Ray's ID.
    """

    def __init__(
        self,
        stages: Stages[StageT],
        make_config: Callable[[StageT, Trial], dict[str, Any]],
        slots: Callable[[], int],
        stop: Stop,
    ) -> None:
        super().__init__()
        self._stages = stages
        self._make_config = make_config
        self._slots = slots
        self._stop = stop
        self._live = set[str]()
        self.trials: dict[str, tuple[Engine, int]] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The config of the next trial; None when there is none now, ``FINISHED`` when none will come."""
        if len(self._live) >= self._slots():
            return None
        if not self._live and self._stop.asked:
            return str(Searcher.FINISHED)  # Ray waits here until there is a trial, and asks no stopper meanwhile
        proposed = self._stages.propose(trial_id)
        if proposed is None:
            # While a trial runs its process may be lost, and the trial be proposed again.
            return str(Searcher.FINISHED) if self._stages.complete() else None
        stage, trial = proposed
        self.trials[trial_id] = stage.engine, trial.number
        self._live.add(trial_id)
        return self._make_config(stage, trial)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the trial's slot. Its end is reported to the engine by the callback, after its last checkpoint."""
        self._live.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class EngineScheduler(_RestoredFromEventLog, FIFOScheduler):  # type: ignore[misc]
    """Passes reports to the engines and their decisions to Ray."""

    def __init__(self, searcher: EngineSearcher[Any]) -> None:
        super().__init__()
        self._searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        """Report a result, which Ray has flattened, to the engine; whether the trial goes on in its process."""
        metrics = {key.split("/", 1)[1]: value for key, value in result.items() if key.startswith("measured/")}
        metrics |= {name: result[name] for name in ("train_seconds", "evaluation_seconds")}
        engine, number = self._searcher.trials[trial.trial_id]
        engine.place(number, result.get("hostname", ""))
        report = engine.report(number, result["step"], metrics)
        return str(TrialScheduler.CONTINUE if report.decision.action is Action.CONTINUE else TrialScheduler.STOP)

    def choose_trial_to_run(self, tune_controller: Any) -> RayTrial | None:
        """The trial that gets the next process that becomes free: the oldest of those that wait for room.

        Ray's own choice is the oldest of all that do not train yet. A process may be starting for that one already,
        which Ray would then end, and a node that joins would stand idle for as long as trials end elsewhere in less
        time than a process needs to start.
        """
        return oldest_without_room(tune_controller)


class EngineStopper(_RestoredFromEventLog, Stopper):  # type: ignore[misc]
    """Ends all trials where they are after a signal or when the time is over; they go on after a resume."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never for one trial: the scheduler stops trials."""
        return False

    def stop_all(self) -> bool:
        """Whether all trials are to end now."""
        return self._stop.asked


class EngineCallback(_RestoredFromEventLog, Callback):  # type: ignore[misc]
    """Has checkpoints written that the engines need, reports them and ends of trials to them, and has checkpoints
    deleted that were replaced.

    Args:
        stages: decide what becomes of trials.
        searcher: knows the engine of a trial, and its number there.
        storage: where checkpoints lie.
        device: where trials are to train, as PyTorch names it.
        stop: asks for the end of all trials.
    """

    def __init__(
        self, stages: Stages[Any], searcher: EngineSearcher[Any], storage: Storage, device: str, stop: Stop
    ) -> None:
        self._stages = stages
        self._searcher = searcher
        self._storage = storage
        self._device = device
        self._stop = stop
        self._warned = set[str]()
        self._replaced = ReplacedCheckpoints(storage, stages.sync)

    def on_step_end(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:
        """Give the engines their heartbeat, several times a second.

        Raises:
            StorageError: an engine has halted the search.
            AllTrialsEndedError: no trial runs any more, nor will one.
        """
        # Here Ray lets an exception pass; elsewhere it may take it for the trial's.
        if (halted := self._stages.halted) is not None:
            raise StorageError(halted)
        self._stages.heartbeat()
        if (self._stop.asked or self._stages.complete()) and all(trial.is_finished() for trial in trials):
            raise AllTrialsEndedError

    def on_trial_result(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Ray calls this when the scheduler has decided, and before it looks into the result for what is set here."""
        engine, number = self._searcher.trials[trial.trial_id]
        result[SHOULD_CHECKPOINT] = engine.needs_checkpoint(number, result["step"])
        if result.get("device", self._device) != self._device:
            self._warn_once(
                f"Ray has given trials a GPU on {result['node_ip']}, but PyTorch sees none there (no driver, or a "
                "build of PyTorch without CUDA): they train on the CPU"
            )
        if (batch := result["measured"].get(HALVED_BATCH)) is not None:
            self._warn_once(f"{_name(engine, number)}: not enough GPU memory, it goes on with a batch of {batch:.0f}")

    def _warn_once(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            logger.warning("%s", line)

    def on_experiment_end(self, trials: list[RayTrial], **info: Any) -> None:
        self._replaced.close()

    def on_checkpoint(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        engine, number = self._searcher.trials[trial.trial_id]
        location = self._storage.location(checkpoint.path)
        older = engine.checkpointed(number, location, trial.last_result["step"])
        if older is not None and older != location:
            self._replaced.add(older, location)

    def on_trial_complete(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        engine, number = self._searcher.trials[trial.trial_id]
        engine.carry_out(number)

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        log = Path(trial.error_file) if trial.error_file else None
        engine, number = self._searcher.trials[trial.trial_id]
        raised = None if log is None else _raised(log)
        if raised is not None and raised.startswith(_CANNOT_BE_STORED):
            self._storage_failed(engine, number, raised.removeprefix(_CANNOT_BE_STORED))
        elif raised is not None and raised.startswith(_CANNOT_BE_USED):
            self._checkpoint_failed(engine, number, raised.removeprefix(_CANNOT_BE_USED))
        elif raised is None:
            self._on_worker_lost(
                engine, number, f"its process was lost: killed from outside, or out of memory; see {log}"
            )
        else:
            engine.fail(number, f"{_OURS.sub('', raised)}; see {log}")

    def _storage_failed(self, engine: Engine, number: int, reason: str) -> None:
        """Let the trial go on elsewhere if the storage can be written again; halt the search otherwise."""
        try:
            if any(sign in reason for sign in _FULL):
                raise StorageError(f"{self._storage.uri}: {reason}")
            self._storage.check()
        except StorageError as error:
            engine.halt(f"{error}; {MEND_AND_RESUME}")
        else:
            self._on_worker_lost(engine, number, reason, storage=True)

    def _checkpoint_failed(self, engine: Engine, number: int, reason: str) -> None:
        """Set the trial back if its checkpoint is missing or damaged; halt the search if all of them are."""
        trial = engine.state.trials[number]
        newest, earlier = trial.checkpoint or "", trial.previous_checkpoint[0] if trial.previous_checkpoint else ""
        try:
            require_checkpoints(engine.state.trials, self._storage)
            present = self._storage.present([newest, earlier])
        except StorageError as error:
            engine.halt(f"{error}; {MEND_AND_RESUME}")
            return
        if newest in present and reason.endswith(IS_NOT_THERE):
            self._on_worker_lost(engine, number, f"{reason}, as seen from {trial.ray_trial_id}", storage=True)
            return
        engine.set_back(number, to_earlier=earlier in present)
        step = f"goes on from step {trial.checkpoint_step:,}" if trial.checkpoint else "is trained from its beginning"
        self._warn_once(f"{_name(engine, number)} {step} again: {reason}")

    def _on_worker_lost(self, engine: Engine, number: int, reason: str, storage: bool = False) -> None:
        engine.on_worker_lost(number, reason, storage)
        trial = engine.state.trials[number]
        if trial.status == "running":
            step = f"step {trial.checkpoint_step:,}"
            self._warn_once(f"{_name(engine, number)} goes on elsewhere from {step}: {reason}")


def _name(engine: Engine, number: int) -> str:
    """``trial 3``, ``second seed of trial 3``."""
    params = engine.state.trials[number].params
    return run_in_words(params) if "trial" in params else f"trial {number}"


def _raised(log: Path) -> str | None:
    """The exception that ended a trial, from the traceback that Ray has written; None when its process was lost."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    raised = [line for line in text.splitlines() if _EXCEPTION.match(line)]
    return raised[-1] if raised and not raised[-1].startswith("ray.exceptions.") else None


class SilentReporter(ProgressReporter):  # type: ignore[misc]
    """Reports nothing: in a notebook Ray's own reporter would clear what is shown below the cell."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: Any) -> None:
        """Never called, since there is never anything to report."""
