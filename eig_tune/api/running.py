"""What every function that trains needs: where its home is, how it shows what it does, and how it ends gently."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eig_tune.config.durations import parse_duration
from eig_tune.errors import EigTuneError
from eig_tune.home import DEFAULT_HOME, Home, writable_home
from eig_tune.paths import absolute, have_a_home
from eig_tune.stopping import Interrupted, InterruptStop, Stop
from eig_tune.workflows.view import View

if TYPE_CHECKING:
    from eig_tune.workflows.options import RunOptions

__all__ = ["View", "attended", "home_at", "run_options", "store_uri"]

HOME, TRACKING_URI = "EIG_TUNE_HOME", "MLFLOW_TRACKING_URI"
RAY_ADDRESS, STORAGE = "RAY_ADDRESS", "EIG_TUNE_STORAGE"


def home_at(path: str | Path | None) -> Home:
    """The home at ``path``, else at EIG_TUNE_HOME, else at ``eig-runs`` in the current folder; makes nothing.

    Raises:
        EigTuneError: no file system has such a path.
    """
    return Home(absolute(Path(path or os.environ.get(HOME) or DEFAULT_HOME), "--home"))


def store_uri(given: str | None, home: Path) -> str:
    """The address of the MLflow store, else MLFLOW_TRACKING_URI, else that of the home's own.

    Raises:
        TrackingError: it is the address of no store, or shows a login.
    """
    from eig_tune.tracking import check_address, local_uri, usable_address

    uri = given or os.environ.get(TRACKING_URI)
    if not uri:
        return local_uri(home)
    check_address(uri, sys.argv)
    return usable_address(uri)


def run_options(
    name: str,
    home: Home,
    tracking_uri: str | None,
    gpus: int | None,
    trials_per_gpu: int | Literal["auto"],
    cpus: int | None,
    address: str | None,
    autoscale: bool,
    storage: str | None,
    resume: bool,
    stop: Stop,
) -> "RunOptions":
    """Where and with what trials run; a place that is not given is that of the environment, as on the command line.

    Raises:
        EigTuneError: the home cannot be written, or an option is none.
    """
    from eig_tune.workflows.options import RunOptions

    have_a_home()
    writable_home(home.path)
    if trials_per_gpu != "auto" and trials_per_gpu < 1:
        raise EigTuneError(f"--trials-per-gpu: got {trials_per_gpu}; write a number from 1 on, or auto")
    return RunOptions(
        name=name,
        tracking_uri=store_uri(tracking_uri, home.path),
        gpus=gpus,
        trials_per_gpu=None if trials_per_gpu == "auto" else trials_per_gpu,
        cpus=cpus,
        address=address or os.environ.get(RAY_ADDRESS) or None,
        autoscale=autoscale,
        storage=storage or os.environ.get(STORAGE) or None,
        resume=resume,
        stop=stop,
    )


@contextmanager
def attended(view: View | None, time_budget: str | float | None, stop: Stop | None) -> Iterator[tuple[View, Stop]]:
    """Show what is done until the end of the block, and let Ctrl-C, or a notebook's interrupt, end it gently.

    A Ray that is started in the block ends with it.

    Args:
        view: shows progress; None shows it as the command line does: a live table in a terminal, else plain lines,
            which a notebook has below its cell.
        time_budget: seconds, or text such as ``1h30m``; after it the work ends gently.
        stop: that of a caller whose process ends afterwards, which listens to signals itself; ``time_budget`` and Ray
            are the caller's then. None is one that listens to Ctrl-C alone.

    Raises:
        KeyboardInterrupt: it was interrupted before anything had begun, or for the second time.
    """
    seconds = parse_duration(time_budget, "time_budget") if isinstance(time_budget, str) else time_budget
    with _shown(view) as shown:
        if stop is not None:
            yield shown, stop
            return
        from eig_tune.cluster.connect import own_ray_ends

        own = InterruptStop(seconds)
        try:
            with own.listening(), own_ray_ends():
                yield shown, own
        except Interrupted as interrupted:
            raise KeyboardInterrupt(str(interrupted)) from interrupted


@contextmanager
def _shown(view: View | None) -> Iterator[View]:
    if view is not None:
        yield view
        return
    from eig_tune.terminal.console import message_console, notebook_console
    from eig_tune.terminal.logs import shown_on
    from eig_tune.terminal.view import TerminalView

    console = notebook_console() if "ipykernel" in sys.modules else message_console()
    with shown_on(console), warnings.catch_warnings():
        # Libraries that are imported meanwhile ask for widgets, and nothing here uses them.
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield TerminalView(console)
