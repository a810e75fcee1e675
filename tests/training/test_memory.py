"""Memory that a step frees stays with the process."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from eig_tune.training.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    tensors = [np.ones(20 * 2**17) for _ in range(6)]  # 20 MiB each
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the C library of Linux")
def test_freed_memory_is_not_faulted_in_anew() -> None:
    assert _faults("kept") < _faults("as it is") / 10
