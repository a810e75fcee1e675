"""What Ray logs in the driver's process."""

import subprocess
import sys

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


def output(level: str) -> tuple[list[str], str]:
    program = PROGRAM.replace("LEVEL", f"logging.{level}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    return [line for line in done.stdout.splitlines() if "eig_tune.ray" in line], done.stdout + done.stderr


def test_warnings_of_ray_are_details_of_eig_tune() -> None:
    lines, everything = output("DEBUG")
    assert lines == [
        "eig_tune.ray.tune.execution DEBUG WARNING trial a1 is slow",
        "eig_tune.ray.train DEBUG ERROR no room",
    ]
    assert everything.count("is slow") == 1 and "a detail" not in everything


def test_nothing_of_ray_is_printed_otherwise() -> None:
    lines, everything = output("INFO")
    assert lines == [] and "is slow" not in everything and "no room" not in everything
