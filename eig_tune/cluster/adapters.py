"""The engine behind Ray's three interfaces: searcher, scheduler and callback. No decision is made here."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from eig_tune.hpo.engine import Engine
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


class EngineSearcher(_RestoredFromEventLog, Searcher):  # type: ignore[misc]
    """Proposes the engine's trials.

    Args:
        engine: proposes trials.
        make_config: what a trainable is given for a trial.
        slots: how many trials may run now. A trial is proposed when it can run and no earlier, so that as many
            results as possible are known by then.

    Attributes:
        numbers: the engine's number of each trial by Ray's ID.
    """

    def __init__(
        self, engine: Engine, make_config: Callable[[Trial], dict[str, Any]], slots: Callable[[], int]
    ) -> None:
        super().__init__()
        self._engine = engine
        self._make_config = make_config
        self._slots = slots
        self._live = set[str]()
        self.numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The config of the engine's next trial; None when there is none now, ``FINISHED`` when none will come."""
        if len(self._live) >= self._slots():
            return None
        trial = self._engine.propose(trial_id)
        if trial is None:
            # While a trial runs its process may be lost, and the trial be proposed again.
            return str(Searcher.FINISHED) if self._engine.complete else None
        self.numbers[trial_id] = trial.number
        self._live.add(trial_id)
        return self._make_config(trial)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the trial's slot. Its end is reported to the engine by the callback, after its last checkpoint."""
        self._live.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class EngineScheduler(_RestoredFromEventLog, FIFOScheduler):  # type: ignore[misc]
    """Passes reports to the engine and its decisions to Ray."""

    def __init__(self, engine: Engine, searcher: EngineSearcher) -> None:
        super().__init__()
        self._engine = engine
        self._searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        """Report a result, which Ray has flattened, to the engine; whether the trial goes on in its process."""
        metrics = {key.split("/", 1)[1]: value for key, value in result.items() if key.startswith("measured/")}
        metrics |= {name: result[name] for name in ("train_seconds", "evaluation_seconds")}
        number = self._searcher.numbers[trial.trial_id]
        self._engine.place(number, result.get("hostname", ""))
        report = self._engine.report(number, result["step"], metrics)
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
    """Has checkpoints written that the engine needs, reports them and ends of trials to it, and has checkpoints deleted
    that were replaced.

    Args:
        engine: decides what becomes of trials.
        searcher: knows the engine's numbers of trials.
        storage: where checkpoints lie.
        device: where trials are to train, as PyTorch names it.
        stop: asks for the end of all trials.
    """

    def __init__(self, engine: Engine, searcher: EngineSearcher, storage: Storage, device: str, stop: Stop) -> None:
        self._engine = engine
        self._searcher = searcher
        self._storage = storage
        self._device = device
        self._stop = stop
        self._warned = set[str]()
        self._replaced = ReplacedCheckpoints(storage, engine.state)

    def on_step_end(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:
        """Give the engine its heartbeat, several times a second.

        Raises:
            StorageError: the engine has halted the search.
            AllTrialsEndedError: no trial runs any more, nor will one.
        """
        # Here Ray lets an exception pass; elsewhere it may take it for the trial's.
        if self._engine.halted is not None:
            raise StorageError(self._engine.halted)
        self._engine.heartbeat()
        if (self._engine.complete or self._stop.asked) and all(trial.is_finished() for trial in trials):
            raise AllTrialsEndedError

    def on_trial_result(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Ray calls this when the scheduler has decided, and before it looks into the result for what is set here."""
        number = self._searcher.numbers[trial.trial_id]
        result[SHOULD_CHECKPOINT] = self._engine.needs_checkpoint(number, result["step"])
        if result.get("device", self._device) != self._device:
            self._warn_once(
                f"Ray has given trials a GPU on {result['node_ip']}, but PyTorch sees none there (no driver, or a "
                "build of PyTorch without CUDA): they train on the CPU"
            )
        if (batch := result["measured"].get(HALVED_BATCH)) is not None:
            self._warn_once(f"trial {number}: not enough GPU memory, it goes on with a batch of {batch:.0f}")

    def _warn_once(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            logger.warning("%s", line)

    def on_experiment_end(self, trials: list[RayTrial], **info: Any) -> None:
        self._replaced.close()

    def on_checkpoint(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        number = self._searcher.numbers[trial.trial_id]
        location = self._storage.location(checkpoint.path)
        older = self._engine.checkpointed(number, location, trial.last_result["step"])
        if older is not None and older != location:
            self._replaced.add(older, location)

    def on_trial_complete(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        self._engine.carry_out(self._searcher.numbers[trial.trial_id])

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        log = Path(trial.error_file) if trial.error_file else None
        number, raised = self._searcher.numbers[trial.trial_id], None if log is None else _raised(log)
        if raised is not None and raised.startswith(_CANNOT_BE_STORED):
            self._storage_failed(number, raised.removeprefix(_CANNOT_BE_STORED))
        elif raised is not None and raised.startswith(_CANNOT_BE_USED):
            self._checkpoint_failed(number, raised.removeprefix(_CANNOT_BE_USED))
        elif raised is None:
            self._on_worker_lost(number, f"its process was lost: killed from outside, or out of memory; see {log}")
        else:
            self._engine.fail(number, f"{_OURS.sub('', raised)}; see {log}")

    def _storage_failed(self, number: int, reason: str) -> None:
        """Let the trial go on elsewhere if the storage can be written again; halt the search otherwise."""
        try:
            if any(sign in reason for sign in _FULL):
                raise StorageError(f"{self._storage.uri}: {reason}")
            self._storage.check()
        except StorageError as error:
            self._engine.halt(f"{error}; {MEND_AND_RESUME}")
        else:
            self._on_worker_lost(number, reason, storage=True)

    def _checkpoint_failed(self, number: int, reason: str) -> None:
        """Set the trial back if its checkpoint is missing or damaged; halt the search if all of them are."""
        trial = self._engine.state.trials[number]
        newest, earlier = trial.checkpoint or "", trial.previous_checkpoint[0] if trial.previous_checkpoint else ""
        try:
            require_checkpoints(self._engine.state.trials, self._storage)
            present = self._storage.present([newest, earlier])
        except StorageError as error:
            self._engine.halt(f"{error}; {MEND_AND_RESUME}")
            return
        if newest in present and reason.endswith(IS_NOT_THERE):
            self._on_worker_lost(number, f"{reason}, as seen from {trial.ray_trial_id}", storage=True)
            return
        self._engine.set_back(number, to_earlier=earlier in present)
        step = f"goes on from step {trial.checkpoint_step:,}" if trial.checkpoint else "is trained from its beginning"
        self._warn_once(f"trial {number} {step} again: {reason}")

    def _on_worker_lost(self, number: int, reason: str, storage: bool = False) -> None:
        self._engine.on_worker_lost(number, reason, storage)
        trial = self._engine.state.trials[number]
        if trial.status == "running":
            step = f"step {trial.checkpoint_step:,}"
            self._warn_once(f"trial {number} goes on elsewhere from {step}: {reason}")


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
