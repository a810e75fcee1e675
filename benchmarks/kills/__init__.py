"""Searches whose parts are killed again and again; the processes and checks are those of the cluster tests."""

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[2] / "tests"
sys.path[:0] = [str(_TESTS), str(_TESTS / "cluster")]  # as pytest has them
