"""Ray's Tune in one process and without Ray: searcher, scheduler, callback and trainable are the real ones.

What Ray does between them is done here one step after the other, so that a test can let anything happen in between.
"""

import copy
import logging
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ray.train._internal.storage import StorageContext
from ray.tune.result import SHOULD_CHECKPOINT

from eig_tune.cluster.adapters import AllTrialsEndedError
from eig_tune.stopping import Stop
from eig_tune.tracking import SearchTracker
from eig_tune.tracking.client import open_client

MEAN_STEPS_BETWEEN_DEATHS = 12


class KilledError(BaseException):
    """The driver is killed: nothing catches it, and nothing is notified."""


@dataclass
class Running:
    """A trial as Ray has it; ``process`` is what trains it, until it is lost."""

    trial_id: str
    config: dict[str, Any]
    process: Any = None
    last_result: dict[str, Any] | None = None
    error_file: str | None = None

    def is_finished(self) -> bool:
        """Those that have ended are not among the live ones."""
        return False


@dataclass
class Life:
    """A process, as far as MLflow and the disk are concerned: when it is killed it writes nothing any more."""

    alive: bool = True
    stop: Stop = field(default_factory=Stop)
    trackers: list[SearchTracker] = field(default_factory=list)

    @staticmethod
    def install(patch: pytest.MonkeyPatch, living: "Callable[[], Life]") -> None:
        """What is opened from now on belongs to the life that is then the present one."""

        def tracked(*given: Any, **named: Any) -> SearchTracker:
            living().trackers.append(SearchTracker(*given, **named))
            return living().trackers[-1]

        def opened(*given: Any, **named: Any) -> Client:
            return Client(open_client(*given, **named), living())

        patch.setattr("eig_tune.tracking.store.open_client", opened)
        patch.setattr("eig_tune.tracking.tracker.ClientProcess", opened)
        patch.setattr("eig_tune.workflows.session.SearchTracker", tracked)

    def kill(self) -> None:
        self.alive = False
        for tracker in self.trackers:
            tracker.describe(lambda: "")  # its writer wakes, and ends because the client raises
            tracker.join(timeout=20)


class Client:
    """MLflow's client in a process that may be dead."""

    def __init__(self, client: Any, life: Life) -> None:
        self._client, self._life = client, life

    def __getattr__(self, name: str) -> Any:
        if not self._life.alive:
            raise SystemExit
        return getattr(self._client, name)

    def end(self) -> None:
        """There is no process of its own that would end."""


class OneProcess:
    """Stands in for Ray's Tuner.

    Args:
        chance: decides which trial comes next, and which worker is lost.
        slots: trials at once.
        between: called between any two things that happen.
    """

    def __init__(self, chance: Random, slots: int, between: Callable[[], None], folder: Path) -> None:
        self._chance, self._slots, self._between, self._folder = chance, slots, between, folder

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put it where Ray would be."""
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        patch.setattr("ray.tune.Tuner", self._tuner)
        patch.setattr("ray.tune.with_parameters", _with_parameters)
        patch.setattr("ray.tune.with_resources", lambda trainable, resources: trainable)
        patch.setattr("ray.train._internal.storage._get_ray_train_session_dir", lambda: str(self._folder))

    def _tuner(self, trainable: Any, tune_config: Any, run_config: Any) -> "OneProcess":
        self._trainable, self._stopper = trainable, run_config.stop
        self._searcher, self._scheduler = tune_config.search_alg, tune_config.scheduler
        (self._callback,) = run_config.callbacks
        self._tried = StorageContext(
            storage_path=run_config.storage_path,
            experiment_dir_name=run_config.name,
            storage_filesystem=run_config.storage_filesystem,
        )
        self._live: list[Running] = []
        self._idle: list[Any] = []
        return self

    def fit(self) -> None:
        """Until there is nothing left to run, or the search is stopped."""
        with suppress(AllTrialsEndedError):
            self._begin()
            while self._live:
                self._between()
                if self._stopper.stop_all():
                    break
                self._advance(self._chance.choice(self._live))
                self._callback.on_step_end(0, self._live)
                self._begin()
            for trial in list(self._live):
                self._over(trial)
        self._callback.on_experiment_end([])

    def _begin(self) -> None:
        while True:
            trial_id = uuid.uuid4().hex[:8]
            config = self._searcher.suggest(trial_id)
            if not isinstance(config, dict):
                assert config is not None or self._live, "nothing runs, and nothing is proposed"
                return
            self._live.append(Running(trial_id, config))

    def _advance(self, trial: Running) -> None:
        """To its next report, and the checkpoint of it if there is to be one; it may die before either."""
        try:
            self._give_process(trial)
            result = trial.process.train()
        except Exception:
            self._failed(trial, traceback.format_exc())
            return
        trial.last_result = result
        flat = {**result, **{f"measured/{name}": value for name, value in result["measured"].items()}}
        decision = self._scheduler.on_trial_result(None, trial, flat)
        self._callback.on_trial_result(0, self._live, trial, result)
        self._between()
        if self._dies():
            self._failed(trial, None)
        elif not result[SHOULD_CHECKPOINT] or self._is_kept(trial):
            self._carry_out(trial, decision == "STOP")

    def _is_kept(self, trial: Running) -> bool:
        """Write a checkpoint; False when the trial has failed meanwhile."""
        try:
            saved = trial.process.save()
        except Exception:
            self._failed(trial, traceback.format_exc())
            return False
        if self._dies():
            self._failed(trial, None)
            return False
        self._callback.on_checkpoint(0, self._live, trial, saved.checkpoint)
        return True

    def _carry_out(self, trial: Running, is_over: bool) -> None:
        if is_over:
            self._idle.append(trial.process)
            self._over(trial)
        elif self._dies():
            self._failed(trial, None)

    def _give_process(self, trial: Running) -> None:
        """One that is idle, or a new one."""
        if trial.process is None and self._idle:
            trial.process = self._idle.pop()
            trial.process.reset(trial.config, storage=self._storage(trial))
        elif trial.process is None:
            trial.process = self._trainable(trial.config, storage=self._storage(trial))

    def _storage(self, trial: Running) -> StorageContext:
        """Ray tries once whether it can write there, and hands each process a copy."""
        own = copy.copy(self._tried)
        own.trial_dir_name = f"trial-{trial.trial_id}"
        return own

    def _dies(self) -> bool:
        return self._chance.random() < 1 / MEAN_STEPS_BETWEEN_DEATHS / 3

    def _failed(self, trial: Running, raised: str | None) -> None:
        """With what it has raised, or just gone."""
        if raised is not None:
            file = self._folder / f"error-{trial.trial_id}.txt"
            file.write_text(raised)
            trial.error_file = str(file)
        self._live.remove(trial)
        self._searcher.on_trial_complete(trial.trial_id, error=True)
        self._callback.on_trial_error(0, self._live, trial)

    def _over(self, trial: Running) -> None:
        self._live.remove(trial)
        self._searcher.on_trial_complete(trial.trial_id)
        self._callback.on_trial_complete(0, self._live, trial)


def _with_parameters(trainable: Any, **given: Any) -> Any:
    class Given(trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, **given)

    return Given
