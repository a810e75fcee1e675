"""docker/slurm.sh under Debian's Slurm, on hosts of their own: real Ray, real searches, and all that befalls a job."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from agreement import Left, assert_all_agrees
from classifiers import give_classifier
from hosts import BIN
from searches import NAME, event_log_file, events, write_space
from slurm_site import Slurm, skip_unless_installed

pytestmark = [pytest.mark.slow]
SCRIPT = Path(__file__).parents[2] / "docker" / "slurm.sh"
FAULTS = Path(__file__).parent / "faults"
TRIALS, REPORT_EVERY, GRACE = 30, 20, 20
ENVIRONMENT = {
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "PYTHONPATH": str(FAULTS),
    "OMP_NUM_THREADS": "1",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    skip_unless_installed()
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    with Slurm(folder / "site", 3, ENVIRONMENT, gpus=2) as site:
        yield site
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shared(slurm: Slurm, tmp_path: Path) -> Path:
    """The folder that jobs are submitted from, with a space and its evaluation classifier."""
    give_classifier(tmp_path / "eig-runs")
    write_space(tmp_path)
    return tmp_path


class Job:
    """One that was submitted, and its log."""

    def __init__(self, slurm: Slurm, shared: Path, *options: str, search: tuple[str, ...] = ()) -> None:
        self._slurm, self._shared = slurm, shared
        space = ("--space", f"{NAME}.yaml", "--gpus", "0")
        given = ("--cpus-per-task=2", "--time=60", *options)
        self.number = slurm.submit(SCRIPT, *space, *search, within=shared, options=given)

    @property
    def log(self) -> str:
        return "".join(file.read_text() for file in sorted(self._shared.glob("eig-tune-*.log")))

    @property
    def state(self) -> str:
        return self._slurm.state(self.number)

    def restarts(self) -> int:
        shown = self._slurm.said("scontrol", "show", "job", self.number)
        return int(shown.partition("Restarts=")[2].split()[0])

    def change(self, what: str) -> None:
        """Slurm may be busy with the job."""
        command = ("scontrol", "update", f"JobId={self.number}", what)
        self.wait_for(what, lambda: self._slurm.controller.run(*command).returncode == 0)

    def wait_for(self, what: str, met: Callable[[], bool], seconds: float = 240) -> None:
        try:
            self._slurm.wait_for(what, met, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-6000:]}") from error

    def wait_for_events(self, more: int) -> None:
        home = self._shared / "eig-runs"
        wanted = events(home) + more
        self.wait_for(f"{wanted} lines in the event log", lambda: events(home) >= wanted)

    def ends_as(self, *states: str) -> None:
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        self.wait_for("its end", lambda: self.state in over, seconds=600)
        assert self.state in states, self.log[-6000:]


def has_nothing_of_ray(slurm: Slurm, node: str) -> bool:
    return not slurm.nodes[node].running("ray")


def is_complete(event_log: Path) -> bool:
    return event_log.is_file() and '"complete": true' in event_log.read_text()


def assert_nothing_is_left(slurm: Slurm, job: Job, shared: Path, nodes: tuple[str, ...]) -> None:
    for name in nodes:
        job.wait_for(f"the end of all on {name}", partial(has_nothing_of_ray, slurm, name), seconds=40)
        left = [str(path) for path in slurm.temporary(name).glob("eig-*/**/*")]
        assert not list(slurm.temporary(name).glob("eig-*")), f"temporary files are left on {name}: {left}\n{job.log}"
    assert not [file.name for file in shared.iterdir() if file.name.startswith((".ray-token", "core"))]


@pytest.mark.real_cluster
def test_job_that_loses_nodes_its_driver_and_its_time_ends_with_every_trial_once(slurm: Slurm, shared: Path) -> None:
    trials = ("--trials", str(TRIALS))
    slowly = "--export=ALL,EIG_TUNE_PACE=10"  # Slurm looks at a job's time once a minute: the search has to last longer
    job = Job(slurm, shared, "--nodes=2", slowly, search=trials)
    job.wait_for_events(15)
    gets_somewhere = time.monotonic() + 30  # for less, a job whose time is over does not queue again
    (driver,) = slurm.nodes["n1"].running("bin/eig-tune")
    os.kill(driver, signal.SIGKILL)
    job.wait_for("the search to go on", lambda: "the search was killed (exit code 137); it goes on" in job.log)
    job.wait_for_events(3)
    time.sleep(max(0, gets_somewhere - time.monotonic()))

    job.change("EndTime=now+100")  # for which Slurm signals it at once, just after the restart
    job.wait_for("the end of its time", lambda: job.restarts() == 1)
    job.change("TimeLimit=60")  # before a node is lost: without accounting, Slurm changes no job that was made smaller
    assert "interrupted by SIGTERM" in job.log and "the job queues again, to go on" in job.log
    job.wait_for_events(3)

    slurm.lose("n1")  # with the script and the driver; a worker is left
    job.wait_for("it to queue again", lambda: job.restarts() == 2)
    job.wait_for_events(3)
    slurm.nodes["n1"].set_cable(plugged=True)
    slurm.start_node("n1")

    slurm.lose("n3")  # a worker
    job.wait_for("Slurm to miss it", lambda: "Node failure on n3" in job.log)
    assert job.state == "RUNNING"
    job.wait_for_events(3)
    slurm.said("scancel", job.number)
    job.ends_as("CANCELLED")
    assert_nothing_is_left(slurm, job, shared, ("n1", "n2"))
    assert event_log_file(shared / "eig-runs").stat().st_mode & 0o044, "the results are for their owner alone"

    again = Job(slurm, shared, "--nodes=2", search=trials)
    again.ends_as("COMPLETED")
    assert_nothing_is_left(slurm, again, shared, ("n1", "n2"))
    home = shared / "eig-runs"
    assert_all_agrees(Left(home, f"sqlite:///{home}/mlflow.db", home / "ray"), TRIALS, 0, REPORT_EVERY, (GRACE, 60))
    slurm.nodes["n3"].set_cable(plugged=True)
    slurm.start_node("n3")


@pytest.mark.cluster
def test_bad_start_ends_at_once_and_says_where(slurm: Slurm, shared: Path) -> None:
    slurm.wait_for_all_nodes()
    assert slurm.nodes["n2"].run("mount", "-o", "remount,ro,bind", "/tmp/eig-test").returncode == 0
    try:
        job = Job(slurm, shared, "--nodelist=n1,n2", "--nodes=2")
        job.ends_as("FAILED")
    finally:
        slurm.nodes["n2"].run("mount", "-o", "remount,rw,bind", "/tmp/eig-test")
    assert "Ray has not started on n2: see above what srun or Ray says of it" in job.log
    assert "Read-only file system" in job.log
    assert_nothing_is_left(slurm, job, shared, ("n1", "n2"))


@pytest.mark.cluster
def test_gpus_of_the_whole_job(slurm: Slurm, shared: Path) -> None:
    """Three on two nodes: each step asks for its node's own."""
    slurm.wait_for_all_nodes()
    job = Job(slurm, shared, "--nodes=2", "--gpus=3", search=("--trials", "1", "--steps", "20"))
    job.ends_as("COMPLETED")
    assert "Unable to create step" not in job.log
    assert_nothing_is_left(slurm, job, shared, ("n1", "n2"))


@pytest.mark.cluster
def test_array_without_the_submitters_environment(slurm: Slurm, shared: Path) -> None:
    """Each task is a search of its own; what is not on the PATH is found in the folder's environment."""
    slurm.wait_for_all_nodes()
    (shared / ".venv").symlink_to(BIN.parent)
    job = Job(slurm, shared, "--export=NONE", "--array=1-2", "--nodes=1", search=("--trials", "1", "--steps", "20"))
    for task in (1, 2):
        file = shared / "eig-runs" / "studies" / f"{NAME}-{task}" / "events.jsonl"
        job.wait_for("both searches", partial(is_complete, file))
    slurm.wait_for_all_nodes()
    assert not (shared / "eig-runs" / "studies" / NAME).exists()
