"""The folder where everything of a home lies."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from eig_tune.errors import EigTuneError
from eig_tune.paths import absolute

DEFAULT_HOME = Path("eig-runs")
EVENT_LOG, OLD_EVENT_LOG = "events.jsonl", "ledger.jsonl"
_PROBE_BYTES = 2**20  # a full disk still takes an empty file


@dataclass(frozen=True)
class Home:
    """Paths below one folder."""

    path: Path

    @property
    def ray(self) -> Path:
        """Checkpoints, by search."""
        return self.path / "ray"

    def artifacts(self, name: str) -> Path:
        """Pictures and models of the search ``name``, if MLflow's store is the home's own."""
        return self.path / "artifacts" / name

    @property
    def images(self) -> Path:
        """Images of folders as they were read, and the names of files that were left out."""
        return self.path / "images"

    @property
    def classifiers(self) -> Path:
        """Cached evaluation classifiers."""
        return _known(self.path / "classifiers", "judges")

    def study(self, name: str) -> Path:
        """What the search ``name`` remembers."""
        return self.path / "studies" / name

    def searches(self) -> list[str]:
        """The names of all searches, comparisons and suggestions, that written to last first."""
        try:
            logs = {folder.name: self.event_log(folder.name) for folder in self.study("").iterdir()}
            found = {name: log.stat().st_mtime for name, log in logs.items() if log.is_file()}
        except OSError:
            return []
        return sorted(found, key=lambda name: -found[name])

    def event_log(self, name: str) -> Path:
        """The event log of the search ``name``."""
        return _known(self.study(name) / EVENT_LOG, OLD_EVENT_LOG)

    def confirmation_event_log(self, name: str) -> Path:
        """The event log of the confirmations of the search ``name``."""
        return self.study(name) / "confirmation.jsonl"

    def second_seed_event_log(self, name: str) -> Path:
        """The event log of the second seeds of the finalists of the search ``name``."""
        return self.study(name) / "second_seeds.jsonl"

    def stop_request(self, name: str) -> Path:
        """A file that asks the search ``name`` to end, from any shell of any machine that sees the home."""
        return self.study(name) / "stop"

    def added_trials(self, name: str) -> Path:
        """The file that has trials of a person's own for the search ``name``."""
        return self.study(name) / "added.jsonl"

    def study_file(self, name: str) -> Path:
        """The search ``name`` as an Optuna study."""
        return self.study(name) / "optuna.log"


def _known(path: Path, old_name: str) -> Path:
    """The path, or the one with its old name where a home of an earlier version has that."""
    old = path.with_name(old_name)
    return old if old.exists() and not path.exists() else path


def writable_home(path: Path) -> Home:
    """The home at ``path``, after a try to write there, which leaves nothing behind.

    Raises:
        EigTuneError: it cannot be written.
    """
    home = absolute(path, "--home")
    try:
        try_to_write(home)
    except OSError as error:
        raise EigTuneError(
            f"--home: {home} cannot be written ({error.strerror}); give another folder with --home or EIG_TUNE_HOME"
        ) from error
    return Home(home)


def try_to_write(path: Path) -> None:
    """Make the folder and a file in it, and remove both again.

    Raises:
        OSError: the folder or the file cannot be made or written.
    """
    made = missing_folders(path)
    probe = path / f".probe-{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(bytes(_PROBE_BYTES))
    finally:
        with contextlib.suppress(OSError):  # what could not be made cannot be removed
            probe.unlink()
            for folder in made:
                folder.rmdir()


def bring_to_disk(folder: Path) -> None:
    """Flush a folder and every file in it to disk, so that they survive a power failure."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def size_of(*folders: Path) -> int:
    """Bytes of all files in the folders; one that is not there, or goes away meanwhile, has none."""
    size = 0
    for folder in folders:
        for file in folder.rglob("*"):
            with contextlib.suppress(OSError):
                size += file.lstat().st_size if file.is_file() else 0
    return size


def missing_folders(path: Path) -> list[Path]:
    """What making the folder would make, innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]
