"""What Ray logs in the driver's process."""

import subprocess
import sys

import pytest

# A process of its own, because importing Ray sets up its loggers once, and other tests use them.
PROGRAM = """
import logging, sys
from eig_tune.cluster.connect import forward_logs
logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s", level=LEVEL)
forward_logs()
from ray import tune
logging.getLogger("ray").info("a detail")
logging.getLogger("ray.tune.execution").warning("trial %s is slow", "a1")
logging.getLogger("ray.train").error("no room")
"""


def output(level: str, program: str = PROGRAM) -> tuple[list[str], str]:
    program = program.replace("LEVEL", f"logging.{level}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    return [line for line in done.stdout.splitlines() if "eig_tune.ray" in line], done.stdout + done.stderr


def test_warnings_of_ray_are_details_of_eig_tune() -> None:
    lines, everything = output("DEBUG")
    assert lines == [
        "eig_tune.ray.tune.execution DEBUG Ray's warning: trial a1 is slow",
        "eig_tune.ray.train DEBUG Ray's error: no room",
    ]
    assert everything.count("is slow") == 1 and "a detail" not in everything


def test_nothing_of_ray_is_printed_otherwise() -> None:
    lines, everything = output("INFO")
    assert lines == [] and "is slow" not in everything and "no room" not in everything


@pytest.mark.cluster
@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_same_holds_while_ray_starts_and_afterwards(level: str) -> None:
    """When Ray starts it sets up its log once more, and in later versions warns of the token that it was given."""
    started = PROGRAM.replace("forward_logs", "start_ray").replace("start_ray()", "start_ray(None, 1)")
    lines, everything = output(level, started)
    shown = [text for text in ("Token authentication is enabled", "is slow", "no room") if text in everything]
    assert len(shown) == len(lines)
    assert set(shown) - {"Token authentication is enabled"} == ({"is slow", "no room"} if level == "DEBUG" else set())
