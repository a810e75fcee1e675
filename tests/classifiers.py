"""The digits' evaluation classifiers, trained once for all searches of a run of the tests."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from eig_tune.config.space import parse_spec
from eig_tune.home import Home
from eig_tune.workflows.prepare import prepare_classifier, prepare_confirming_classifier, prepare_images
from eig_tune.workflows.view import View

_FOLDER = "EIG_TUNE_TEST_CLASSIFIERS"  # in the environment, so that the processes of a run share it


def make_folder() -> bool:
    """Whether this process is the first of a run, which has to remove the folder at its end."""
    if _FOLDER in os.environ:
        return False
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="classifiers-")
    return True


def remove_folder() -> None:
    shutil.rmtree(os.environ.pop(_FOLDER), ignore_errors=True)


def give_classifier(home: Path) -> None:
    """Spare a search on digits the training of its classifiers, which is most of what it does before its first
    trial."""
    kept = Path(os.environ[_FOLDER])
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / "trained").exists():
            _train(Home(kept))
            (kept / "trained").touch()
    shutil.copytree(Home(kept).classifiers, Home(home).classifiers, dirs_exist_ok=True)


def _train(home: Home) -> None:
    spec = parse_spec({"dataset": {"name": "digits"}, "search": {"lambda_1": {"uniform": [0.1, 1]}}}, "digits")
    data = prepare_classifier(spec, prepare_images(spec, home, View()), home, View())
    prepare_confirming_classifier(spec, data, home, lambda: None)
