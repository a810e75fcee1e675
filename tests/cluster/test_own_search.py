"""A metric and a model of the user's own reach Ray's workers, decide the search, and are confirmed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from classifiers import give_classifier

SCRIPT = Path(__file__).with_name("own_search.py")


@pytest.mark.slow
@pytest.mark.cluster
def test_search_from_python_has_an_own_metric_as_objective_and_trains_an_own_model(tmp_path: Path) -> None:
    give_classifier(tmp_path)
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    reached = json.loads(done.stdout.splitlines()[-1])
    assert len(reached["purity"]) == 2
    assert len(reached["confirmed"]) == 1
    assert all(0.1 <= value <= 1 for value in (*reached["purity"], *reached["confirmed"]))
