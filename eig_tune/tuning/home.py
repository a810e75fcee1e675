"""The folder where everything of a home lies."""

import os
from dataclasses import dataclass
from pathlib import Path

from eig_tune.errors import EigTuneError

DEFAULT_HOME = Path("eig-runs")


@dataclass(frozen=True)
class Home:
    """Paths below one folder."""

    path: Path

    @property
    def ray(self) -> Path:
        """Checkpoints, by search."""
        return self.path / "ray"

    @property
    def judges(self) -> Path:
        """Cached evaluation classifiers."""
        return self.path / "judges"

    def study(self, name: str) -> Path:
        """What the search ``name`` remembers."""
        return self.path / "studies" / name

    def ledger(self, name: str) -> Path:
        """The ledger of the search ``name``."""
        return self.study(name) / "ledger.jsonl"

    def confirmation_ledger(self, name: str) -> Path:
        """The ledger of the confirmations of the search ``name``."""
        return self.study(name) / "confirmation.jsonl"

    def study_file(self, name: str) -> Path:
        """The search ``name`` as an Optuna study."""
        return self.study(name) / "optuna.log"


def writable_home(path: Path) -> Home:
    """The home at ``path``, after a try to write there; a folder that was made for the try is gone again.

    Raises:
        EigTuneError: it cannot be written.
    """
    home = path.expanduser().resolve()
    made = [folder for folder in (home, *home.parents) if not folder.exists()]
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        for folder in made:
            folder.rmdir()
    except OSError as error:
        raise EigTuneError(
            f"--home: {home} cannot be written ({error.strerror}); give another folder with --home or EIG_TUNE_HOME"
        ) from error
    return Home(home)
