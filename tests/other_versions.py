"""Run what touches Ray, MLflow and Optuna with the oldest or the newest of each that pyproject.toml allows.

They are installed into an environment of their own, `.venv-oldest` or `.venv-newest`, over the one that runs this
program: all else, PyTorch above all, is taken from there. Called by `make test-oldest` and `make test-newest`.
"""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LIBRARIES = ("mlflow", "optuna", "ray")
TESTS = (
    *("tests/cluster/test_ray_private.py", "tests/cluster/test_connect.py", "tests/cluster/test_doctor_checks.py"),
    *("tests/cluster/test_storage.py", "tests/cluster/test_small_search.py", "tests/cluster/test_doctor.py"),
    *("tests/hpo/test_sampler.py", "tests/reports", "tests/tracking"),
)
# Beside the units all that is of this part: a real search, and clusters with and without a token.
NOT_THESE = "browser or (slow and not cluster)"


def requirements(end: str) -> list[str]:
    """What pip is to install: the lowest version of each range, or the range itself."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ranges = [range_ for range_ in map(Requirement, declared) if range_.name in LIBRARIES]
    return [str(range_) if end == "newest" else _lowest(range_) for range_ in ranges]


def _lowest(range_: Requirement) -> str:
    (version,) = [each.version for each in range_.specifier if each.operator == ">="]
    extras = f"[{','.join(sorted(range_.extras))}]" if range_.extras else ""
    return f"{range_.name}{extras}=={version}"


def make(folder: Path, end: str) -> Path:
    """Make the environment anew; its Python."""
    venv.create(folder, clear=True, with_pip=True)
    python = folder / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    below = sysconfig.get_path("purelib")
    packages.joinpath("zz_below.pth").write_text(f"import site; site.addsitedir({below!r})\n")
    pip = [str(python), "-m", "pip", "install", "-qq"]
    subprocess.run([*pip, "--upgrade", *requirements(end)], check=True)
    # Those that the environment below has in the same version as well, for bin/ray.
    subprocess.run([*pip, "--force-reinstall", "--no-deps", *installed(python)], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)  # for bin/eig-tune
    return python


def installed(python: Path) -> list[str]:
    """The libraries with the versions that the environment has of them."""
    freeze = subprocess.run([str(python), "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
    return [line for line in freeze.stdout.splitlines() if line.partition("==")[0] in LIBRARIES]


def main() -> int:
    """Make the environment and run the tests in it; their exit code."""
    (end,) = sys.argv[1:]
    python = make(ROOT / f".venv-{end}", end)
    print("with", *installed(python), flush=True)
    command = [str(python), "-m", "pytest", "-p", "no:xdist", "-m", f"not ({NOT_THESE})", *TESTS]
    return subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode


if __name__ == "__main__":
    sys.exit(main())
