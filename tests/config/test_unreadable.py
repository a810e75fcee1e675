"""A place that cannot be read now fails no trial: reading is tried again, then the search halts with all it has."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.fs
import pytest
from logged import logged

from eig_tune.cluster import storage as storage_module
from eig_tune.cluster.adapters import EngineCallback
from eig_tune.cluster.moved_checkpoints import find_checkpoints
from eig_tune.cluster.storage import Storage
from eig_tune.config.space import parse_spec
from eig_tune.errors import CheckpointError, StorageError
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.policies import SearchPolicy
from eig_tune.hpo.stages import Stage, Stages
from eig_tune.stopping import Stop
from eig_tune.training import TrainConfig, checkpoint
from eig_tune.training.loop import TrialData, fit

DOCUMENT = {
    "dataset": {"name": "digits"},
    "train": {"steps": 2000, "report_every": 500},
    "asha": {"grace": 1000},
    "search": {"lambda_1": {"loguniform": [0.3, 3]}},
    "trials": 9,
}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "_WAITS", (0.0, 0.0, 0.0))


class Search:
    """An engine with its callback, two of whose trials have a real folder as a checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.logged = folder, list[str]()
        self.storage = Storage(str(folder / "ray"))
        self.event_log = EventLog(folder / "events.jsonl", self.storage.uri)
        self.engine = Engine(SearchPolicy(parse_spec(DOCUMENT, "test")), self.event_log)
        searcher: Any = SimpleNamespace(trials={"r0": (self.engine, 0), "r1": (self.engine, 1)})
        self.callback = EngineCallback(Stages([Stage(self.engine)]), searcher, self.storage, "cpu", Stop())
        for number in (0, 1):
            trial = self.engine.propose(f"r{number}")
            assert trial is not None
            self.engine.report(number, 500, {"nmi": 0.5, "prior_rmse": 0.1})
            self.engine.checkpointed(number, self.written(number, 500), 500)

    def written(self, number: int, step: int) -> str:
        there = Path(self.storage.uri) / f"trial-{number}" / f"checkpoint-{step}"
        there.mkdir(parents=True)
        (there / checkpoint.RUN_FILE).touch()
        return str(there)

    def raises(self, error: Exception) -> None:
        """Trial 0 ends in Ray with this, as Ray says it."""
        log = self.folder / "error.txt"
        log.write_text(f"Traceback ...\n{type(error).__module__}.{type(error).__qualname__}: {error}\n")
        trial: Any = SimpleNamespace(trial_id="r0", error_file=str(log))
        with logged() as shown:
            self.callback.on_trial_error(0, [], trial)
        self.logged += shown.lines


@pytest.fixture
def search(tmp_path: Path) -> Iterator[Search]:
    made = Search(tmp_path)
    yield made
    made.event_log.__exit__(None, None, None)


def test_storage_that_cannot_be_read_again_and_again_halts_the_search_and_fails_no_trial(search: Search) -> None:
    for _ in range(3):
        search.raises(StorageError("s3://b/c: this checkpoint cannot be read (503)"))
        assert search.engine.halted is None
        assert search.engine.propose("r0") is search.event_log.trials[0]
    search.raises(StorageError("s3://b/c: this checkpoint cannot be read (503)"))
    assert search.engine.halted is not None and "cannot be read (503)" in search.engine.halted
    assert "--resume" in search.engine.halted
    trial = search.event_log.trials[0]
    assert not trial.ended and trial.checkpoint is not None and Path(trial.checkpoint).is_dir()


def test_damaged_checkpoint_is_reported_and_its_trial_trained_again(search: Search) -> None:
    search.raises(CheckpointError("there: not a whole checkpoint (file is truncated)"))
    trial = search.event_log.trials[0]
    assert (trial.status, trial.checkpoint, trial.checkpoint_step) == ("running", None, 0)
    assert search.engine.halted is None and search.engine.propose("r0") is trial
    assert search.logged == [
        "WARNING trial 0 is trained from its beginning again: there: not a whole checkpoint (file is truncated)"
    ]
    assert search.engine.report(0, 500, {"nmi": 0.7, "prior_rmse": 0.2}).metrics["nmi"] == 0.5, "as it was decided"


def test_damaged_checkpoint_gives_way_to_the_one_before_if_a_power_failure_has_left_it(search: Search) -> None:
    earlier = search.event_log.trials[0].checkpoint
    search.engine.checkpointed(0, search.written(0, 1000), 1000)
    for expected in ((earlier, 500), (None, 0)):
        search.raises(CheckpointError("there: not a whole checkpoint (file is truncated)"))
        trial = search.event_log.trials[0]
        assert (trial.checkpoint, trial.checkpoint_step) == expected
    assert "trial 0 goes on from step 500 again: there" in search.logged[0]


def test_storage_that_is_gone_halts_the_search_instead_of_training_all_again(search: Search) -> None:
    location = str(search.event_log.trials[0].checkpoint)
    Path(search.storage.uri).rename(search.folder / "elsewhere")
    search.raises(CheckpointError(f"{location}: this checkpoint is not there"))
    assert search.engine.halted is not None and "none of the 2 checkpoints" in search.engine.halted
    assert search.event_log.trials[0].checkpoint == location


def test_node_that_does_not_see_the_storage_costs_no_checkpoint(search: Search) -> None:
    location = str(search.event_log.trials[0].checkpoint)
    for _ in range(4):
        search.raises(CheckpointError(f"{location}: this checkpoint is not there"))
    assert search.engine.halted is not None and "as seen from r0" in search.engine.halted
    trial = search.event_log.trials[0]
    assert trial.checkpoint == location and not trial.ended


def test_moved_storage_is_found_and_a_copy_uses_its_own(search: Search, tmp_path: Path) -> None:
    search.event_log.__exit__(None, None, None)
    moved = tmp_path / "moved"
    moved.mkdir()
    Path(search.storage.uri).rename(moved / "ray")
    (tmp_path / "events.jsonl").rename(moved / "events.jsonl")
    here = Storage(str(moved / "ray"))
    for _ in range(2):
        with EventLog(moved / "events.jsonl", here.uri) as event_log:
            find_checkpoints(event_log, here)
            assert [t.checkpoint for t in event_log.trials.values()] == [
                str(moved / f"ray/trial-{number}/checkpoint-500") for number in (0, 1)
            ]
    with EventLog(moved / "events.jsonl", "s3://another/storage") as event_log:
        assert str(event_log.trials[0].checkpoint).startswith(str(moved)), "what is not moved stays where it is"
    (moved / "ray").rename(tmp_path / "gone")
    with (
        EventLog(moved / "events.jsonl", here.uri) as event_log,
        pytest.raises(StorageError, match=r"none of the 2 checkpoints .* name by --storage where it lies now"),
    ):
        find_checkpoints(event_log, here)


class Refusing:
    """A file system that refuses for a while."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, *arguments: Any, **options: Any) -> None:
        self.times -= 1
        if self.times >= 0:
            raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation")


def test_bucket_that_refuses_for_a_moment_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage("s3://bucket/prefix", "http://127.0.0.1:9", "us-east-1")
    monkeypatch.setattr(pyarrow.fs, "copy_files", Refusing(3))
    with storage.local("s3://bucket/prefix/checkpoint") as folder:
        assert folder.is_dir()
    monkeypatch.setattr(pyarrow.fs, "copy_files", Refusing(100))
    refused = pytest.raises(StorageError, match=r"this checkpoint cannot be read .AWS Error NETWORK_CONNECTION")
    with refused, storage.local("s3://bucket/prefix/checkpoint"):
        pass


def test_disk_that_fails_while_a_checkpoint_is_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_config: TrainConfig, trial_data: TrialData
) -> None:
    next(fit(tiny_config, trial_data)).save(tmp_path)
    (tmp_path / checkpoint.TENSORS_FILE).write_bytes((tmp_path / checkpoint.TENSORS_FILE).read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        next(fit(tiny_config, trial_data, tmp_path))

    def failing(file: Path, *options: Any) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(file))

    monkeypatch.setattr(Path, "read_text", failing)
    with pytest.raises(StorageError, match=r"this checkpoint cannot be read .Input/output error"):
        next(fit(tiny_config, trial_data, tmp_path))
