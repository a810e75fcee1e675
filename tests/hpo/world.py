"""Two homes with a search of the same name each, one MLflow store, and what may happen to them."""

import random
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mlflow.entities import ViewType
from one_process import KilledError, Life
from PIL import Image

from eig_tune.config.space import parse_spec
from eig_tune.errors import EigTuneError
from eig_tune.evaluation.record import EVALUATION_FILE, SAMPLES_FILE
from eig_tune.home import Home
from eig_tune.hpo import state as state_module
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.trial import Trial
from eig_tune.tracking.client import open_client
from eig_tune.training import TrainConfig, checkpoint
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.search import run_search
from eig_tune.workflows.view import View

TRIALS, STEPS, EVERY = 9, 2000, 500
SPEC = parse_spec(
    {
        "dataset": {"name": "digits"},
        "train": {"steps": STEPS, "report_every": EVERY},
        "asha": {"grace": EVERY},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}, "tau": {"uniform": [0.1, 1]}},
        "objectives": {"q_mutual_information": "maximize", "prior_posterior_gap": "minimize"},
        "confirm": {"finalists": 3, "top": 1, "seeds": 2},
        "sampler": "random",
        "trials": TRIALS,
    },
    "test",
)
MOST_LIVES = 80  # of both; also of one that is complete, which a further life must not change
IN_A_LIFE = {
    "nothing": 90,
    "killed": 4,
    "stopped": 3,
    "storage away": 2,
    "clock set back": 2,
    "experiment renamed": 1,
    "experiment deleted": 1,
}
BETWEEN_LIVES = {
    "nothing": 6,
    "home moved": 4,
    "clock set back": 1,
    "experiment renamed": 1,
    "experiment deleted": 1,
}
LOST = "its process was lost"


@dataclass
class Progress:
    """What a run that trains nothing has reached; its weights say whose they are, and of which step."""

    step: int
    config: TrainConfig
    train_seconds: float = 0.1
    evaluation_seconds: float = 0.1

    def metrics(self) -> dict[str, float]:
        quality = (self.config.seed * 7 % 11) / 10 * self.step / STEPS
        return {"q_mutual_information": quality, "prior_posterior_gap": 0.5 - 0.4 * quality}

    def save(self, directory: Path) -> None:
        record = checkpoint.RunRecord(self.config, self.step, 16, 1, ("0", "1"))
        checkpoint.save(directory, {"model": torch.tensor([self.config.seed, self.step])}, record)
        Image.new("L", (4, 4), 0).save(directory / SAMPLES_FILE)
        (directory / EVALUATION_FILE).write_text("{}")


def fit(config: TrainConfig, data: Any, resume: Path | None = None, device: Any = None) -> Iterator[Progress]:
    step = 0
    if resume is not None:
        step = checkpoint.read_run(resume).step
        weights = checkpoint.read_tensors(resume)["model"].tolist()
        assert weights == [config.seed, step], f"weights of another run: {weights}"
    while step < config.train.steps:
        step += config.train.report_every
        yield Progress(step, config)


def expected_further(trials: Sequence[Trial]) -> int:
    """How many runs confirm the best of a search that has ended: second seeds, if more have finished than go on."""
    finished = sum(trial.status == "finished" for trial in trials)
    return SPEC.confirm.finalists_of(finished) + min(finished, SPEC.confirm.top) * SPEC.confirm.runs


class World:
    """Two homes, one MLflow store and one storage, to which things happen."""

    def __init__(self, folder: Path, uri: str, name: str, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.chance, self._uri, self.name, self._folder = random.Random(seed), uri, name, folder
        self.homes = [folder / "home-a", folder / "home-b"]
        self._shared = folder / "storage" if seed % 2 else None  # else each home has its own
        self._life, self._which = Life(), 0
        self._clock = self._gone_by = 0.0
        self.happened: list[str] = []
        self._patch = patch
        self._install(patch)

    def _install(self, patch: pytest.MonkeyPatch) -> None:
        world = self
        self.client = open_client(self._uri)

        Life.install(patch, lambda: world._life)
        clock = SimpleNamespace(
            time=lambda: time.time() + world._gone_by + world._clock,
            monotonic=lambda: time.monotonic() + world._gone_by,
        )
        patch.setattr(state_module, "time", clock)

    def happens(self) -> None:
        """Between any two steps of a search."""
        self._gone_by += self.chance.choice([0.0, 5.0, 20.0])
        what = self.chance.choices(list(IN_A_LIFE), list(IN_A_LIFE.values()))[0]
        if what == "killed":
            self.happened.append(what)
            self._life.kill()
            raise KilledError
        self.befall(what)

    def befall(self, what: str) -> None:
        """Something happens to what the searches stand on."""
        if what == "nothing":
            return
        self.happened.append(what)
        if what == "stopped":
            self._life.stop.signal = signal.SIGINT
        elif what == "storage away":
            self.storage_away()
        elif what == "clock set back":
            self._clock -= self.chance.choice([10.0, 3600.0, 86400.0])
        elif what == "home moved":
            self.move_home(self.chance.randrange(2))
        elif what == "experiment renamed":
            for experiment in self._experiments("active"):
                self.client.rename_experiment(
                    experiment.experiment_id, f"{self.name} {experiment.experiment_id}-{len(self.happened)}"
                )
        elif what == "experiment deleted":
            for experiment in self._experiments("active"):
                self.client.delete_experiment(experiment.experiment_id)

    def _experiments(self, stage: str) -> list[Any]:
        found = self.client.search_experiments(view_type=ViewType.ALL, filter_string=f"name LIKE '{self.name}%'")
        return [experiment for experiment in found if experiment.lifecycle_stage == stage]

    @property
    def storage(self) -> Path:
        """Where the search that runs now has its checkpoints."""
        return self.storage_of(self.homes[self._which])

    def storage_of(self, home: Path) -> Path:
        """Where the search of a home has its checkpoints."""
        return self._shared or home / "ray"

    def storage_away(self) -> None:
        """As when a mount is lost: something else is in its place."""
        if self.storage.is_dir():
            self.storage.rename(self.storage.with_suffix(".away"))
            self.storage.touch()

    @property
    def is_well(self) -> bool:
        """Whether a search has no reason to halt."""
        return not self.storage.is_file() and not self._experiments("deleted")

    def mend(self) -> None:
        """A person puts everything right."""
        if self.storage.is_file():
            self.storage.unlink()
            self.storage.with_suffix(".away").rename(self.storage)
        for experiment in self._experiments("deleted"):
            self.client.restore_experiment(experiment.experiment_id)

    def live(self, which: int) -> bool:
        """One process of the search of a home, from its start to whatever end; whether it is complete."""
        self._life, self._which = Life(), which
        storage = None if self._shared is None else str(self._shared)
        options = RunOptions(self.name, self._uri, gpus=0, cpus=1, storage=storage, resume=True, stop=self._life.stop)
        spec = SPEC.model_copy(update={"seed": which})
        if self.chance.random() < 0.7:
            self.mend()
        try:
            outcome = run_search(spec, options, Home(self.homes[which]), View())
        except KilledError:
            return False
        except EigTuneError as error:
            self.happened.append(f"halted: {error}")
            assert "\n" not in str(error).strip(), error
            assert not self.is_well, f"nothing is wrong, and yet: {error}"
            return False
        finally:
            self._life.kill()
            self._assert_no_trial_has_failed(which)
        if outcome.tracking_errors:
            assert not self.is_well, outcome.tracking_errors
            return False
        return self._is_complete(which)

    def event_logs(self, which: int) -> list[Path]:
        """Those that there are of a home's search: its own and those of second seeds and of its confirmations."""
        home = Home(self.homes[which])
        further = home.second_seed_event_log(self.name), home.confirmation_event_log(self.name)
        return [file for file in (home.event_log(self.name), *further) if file.is_file()]

    def _is_complete(self, which: int) -> bool:
        trials, further = list[Trial](), list[Trial]()
        for file in self.event_logs(which):
            with EventLog(file) as event_log:
                (further if trials else trials).extend(event_log.trials.values())
        needed = [run for run in further if run.status != "stopped"]
        whole = len(trials) == TRIALS and len(needed) >= expected_further(trials)
        return whole and all(trial.ended for trial in [*trials, *further])

    def _assert_no_trial_has_failed(self, which: int) -> None:
        for file in self.event_logs(which):
            with EventLog(file) as event_log:
                failed = [t for t in event_log.trials.values() if t.status == "failed" and LOST not in t.reason]
            assert not failed, f"{failed[0].reason}\nafter: {', '.join(self.happened)}"

    def move_home(self, which: int) -> None:
        """To another folder."""
        if self.homes[which].exists():
            self.homes[which] = self.homes[which].rename(self._folder / f"home-{len(self.happened)}-{which}")
