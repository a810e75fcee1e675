"""split_lock.py LOCK PROJECT FOLDER  writes into FOLDER what each layer of the image installs.

A layer is made anew when its own file changes: so PyTorch, by far the largest, stays when another package moves.

    cuda.txt         PyTorch, and the CUDA libraries and Triton that it needs on Linux
    cpu.txt          PyTorch alone
    others.txt       all else that eig-tune and its servers need, as pyproject.toml names it
    constraints.txt  the versions of these and of what they need
"""

import re
import sys
import tomllib
from pathlib import Path

_PYTORCH = ("torch", "torchvision")
_CUDA = re.compile(r"(nvidia|cuda)-|triton==")
_NAME = re.compile(r"[\w.-]+")


def main(lock: Path, project: Path, folder: Path) -> None:
    """Write the four files."""
    pins = lock.read_text().splitlines()
    pytorch = [pin for pin in pins if _name(pin) in _PYTORCH]
    cuda = [pin for pin in pins if _CUDA.match(pin)]
    document = tomllib.loads(project.read_text())["project"]
    needed = [*document["dependencies"], *document["optional-dependencies"]["cluster"]]
    _write(folder / "cuda.txt", [*pytorch, *cuda])
    _write(folder / "cpu.txt", pytorch)
    _write(folder / "others.txt", [line for line in needed if _name(line) not in _PYTORCH])
    _write(folder / "constraints.txt", [pin for pin in pins if pin not in {*pytorch, *cuda}])


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return found.group() if found else ""


def _write(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
