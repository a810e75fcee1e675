"""The comparison of networks runs from one command and has a row for each of them."""

import subprocess
import sys
from pathlib import Path

from eig_tune.models.networks import NETWORKS

ROOT = Path(__file__).parents[2]


def test_every_network_is_timed_and_sized() -> None:
    command = [sys.executable, "-m", "benchmarks.networks", "--width", "4", "--size", "8", "--blocks", "1"]
    command += ["--block-steps", "1", "--set", "batch_size=4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")]
    assert rows[2:] == list(NETWORKS)
    assert "digits, width 4, batch 4" in done.stdout
