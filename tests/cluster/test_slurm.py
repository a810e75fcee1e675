"""docker/slurm.sh as it stands, with stand-ins for Slurm's two commands; Ray and the search are real."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from searches import give_classifier, processes_naming, trials_of, write_space
from stack import base_environment

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
ROOT = Path(__file__).parents[2]


def wait_for_the_last_of(folder: Path) -> None:
    """Ray's log monitor looks only now and then whether its node is still there."""
    end = time.monotonic() + 30
    while left := processes_naming(str(folder)):
        assert time.monotonic() < end, left
        time.sleep(0.5)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, because Ray's sockets lie below it."""
    made = Path(tempfile.mkdtemp(prefix="eig-"))
    yield made
    shutil.rmtree(made)


def test_job_starts_ray_searches_and_leaves_nothing_behind(folder: Path) -> None:
    environment = {
        **base_environment(Path(__file__).parent / "slurm"),
        **{"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "127.0.0.1,127.0.0.1"},
        **{"TMPDIR": str(folder), "RAY_raylet_start_wait_time_s": "120", "RAY_worker_niceness": "0"},
    }
    give_classifier(folder / "eig-runs")
    command: list[str | Path] = [ROOT / "docker" / "slurm.sh", "--space", write_space(folder), "--trials", "2"]
    with (folder / "log").open("w") as log:
        job = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            assert job.wait(timeout=300) == 0, (folder / "log").read_text()[-3000:]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
    assert len(trials_of(folder / "eig-runs")) == 2
    wait_for_the_last_of(folder)
    assert not list(folder.glob(".ray-token-*")), "the token is left behind"
