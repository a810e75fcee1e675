"""Images built without an engine: by Debian's buildah, on a base image from debootstrap, from a folder of wheels.

What is stored lies in one folder, which :meth:`Store.remove` deletes with all mounts below it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BASE = "localhost/python:3.11-slim-bookworm"
_FOLDERS = ("docker", "eig_tune", "search_spaces")
_FILES = (".dockerignore", "LICENSE", "README.md", "pyproject.toml")
_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
_PYTHON = "3.11"


def skip_unless_images_can_be_built() -> None:
    """Skip where there is no right, or no program, to build an image."""
    if os.geteuid() != 0:
        pytest.skip("a base image is made by debootstrap; only root may do that")
    if missing := [program for program in ("buildah", "debootstrap") if shutil.which(program) is None]:
        pytest.skip(f"needs {', '.join(missing)} (Debian: apt-get install buildah debootstrap)")


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints; if it fails, the end of that fails the test."""
    done = subprocess.run(
        [*map(str, command)],
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if environment is None else {**os.environ, **environment},
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}"
    return done.stdout


@dataclass(frozen=True)
class Image:
    """An image in a store.

    Attributes:
        name: its tag.
        layers: digest and bytes of each, the base's first.
        config: as `docker inspect` shows it.
    """

    name: str
    layers: Mapping[str, int]
    config: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes, uncompressed."""
        return sum(self.layers.values())

    def shipped_after(self, earlier: "Image") -> int:
        """Bytes of those layers that a registry with the earlier image lacks, uncompressed."""
        return sum(size for digest, size in self.layers.items() if digest not in earlier.layers)


@dataclass
class Store:
    """Where buildah keeps images and containers.

    Attributes:
        folder: for all of it.
    """

    folder: Path
    _mounted: list[Path] = field(default_factory=list)

    @cached_property
    def wheels(self) -> Path:
        """A folder of all wheels that an image without CUDA installs, and a pip.conf that takes no others."""
        folder = self.folder / "wheels"
        folder.mkdir()
        cut = self.folder / "cut"
        cut.mkdir()
        torch = _cpu_torch(folder)
        lock = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if "platform_system" not in line]
        lock = [re.sub(r"^(torch|torchvision)==.*", lambda found: f"{found[1]}=={torch[found[1]]}", x) for x in lock]
        (cut / "requirements.lock").write_text("\n".join(lock) + "\n")
        split = ROOT / "docker" / "split_lock.py"
        run(sys.executable, split, cut / "requirements.lock", ROOT / "pyproject.toml", cut)
        setuptools = re.findall(r"SETUPTOOLS=(\S+)", (ROOT / "docker" / "Dockerfile").read_text())[0]
        wanted = [f"torch=={torch['torch']}+cpu", f"torchvision=={torch['torchvision']}", f"setuptools=={setuptools}"]
        lists = ("--requirement", cut / "others.txt", "--constraint", cut / "constraints.txt")
        run(*_pip_download(folder), "--find-links", folder, *wanted, *lists)
        (folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        return folder

    def make_base(self) -> None:
        """A Debian with Python, under the name of `BASE`."""
        tree = self.folder / "base"
        run("debootstrap", "--variant=minbase", "--include=python3-venv,ca-certificates", "bookworm", tree)
        (tree / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        for unneeded in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(tree / unneeded)
        container = self._buildah("from", "scratch").strip()
        run("cp", "--archive", f"{tree}/.", self._buildah("mount", container).strip())
        self._buildah("config", "--env", "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", container)
        self._buildah("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(tree)

    def context(self) -> Path:
        """A copy of what an image is made of, with the cut lock; it may be changed."""
        context = self.folder / "context"
        context.mkdir()
        for name in _FOLDERS:
            shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__", "secrets"))
        for name in _FILES:
            shutil.copy2(ROOT / name, context)
        shutil.copy2(self.folder / "cut" / "requirements.lock", context)
        return context

    def build(self, context: Path, name: str, arguments: Mapping[str, str]) -> Image:
        """Build docker/Dockerfile by all of its instructions."""
        mounts = [f"{self.wheels}:/wheels:ro", f"{self.wheels}/pip.conf:/etc/pip.conf:ro"]
        options = [option for mount in mounts for option in ("--volume", mount)]
        for argument in (f"PYTHON_IMAGE={BASE}", *(f"{key}={value}" for key, value in arguments.items())):
            options += ["--build-arg", argument]
        file = context / "docker" / "Dockerfile"
        self._buildah(
            *("bud", "--layers", "--format", "docker", "--network", "host", "--file", file, "--tag", name),
            *options,
            context,
        )
        return self._described(name)

    def container(self, image: Image) -> str:
        """A container of the image, for :meth:`run`."""
        return self._buildah("from", image.name).strip()

    def run(self, container: str, user: str, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """What the command prints as this user, whose environment is the image's."""
        options = [option for item in (environment or {}).items() for option in ("--env", "=".join(item))]
        return self._buildah("run", "--user", user, *options, container, "--", *command)

    def remove(self) -> None:
        """Delete everything."""
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if line.split()[1].startswith(str(self.folder)):
                subprocess.run(["umount", line.split()[1]], check=False)
        shutil.rmtree(self.folder)

    def _described(self, name: str) -> Image:
        found = json.loads(self._buildah("inspect", "--type", "image", name))["Docker"]
        layers = json.loads((self.folder / "storage" / "overlay-layers" / "layers.json").read_text())
        sizes = {layer["diff-digest"]: int(layer["diff-size"]) for layer in layers if "diff-digest" in layer}
        return Image(name, {digest: sizes[digest] for digest in found["rootfs"]["diff_ids"]}, found["config"])

    def _buildah(self, *arguments: str | Path) -> str:
        places = ("--root", self.folder / "storage", "--runroot", self.folder / "run", "--storage-driver", "overlay")
        return run("buildah", *places, *arguments, environment={"BUILDAH_ISOLATION": "chroot"})


def _pip_download(folder: Path) -> Sequence[str | Path]:
    python = ("--python-version", _PYTHON, "--only-binary", ":all:")
    return [sys.executable, "-m", "pip", "download", "--quiet", *python, "--dest", folder]


def _cpu_torch(folder: Path) -> dict[str, str]:
    """Versions of torch and torchvision of which a build without CUDA can be had; torch's wheel is put there.

    The lock's, from PyTorch's own index, or the newest that pip finds where it is told to look for files.
    """
    lock = dict(line.split(";")[0].split("==") for line in (ROOT / "requirements.lock").read_text().splitlines())
    get = [*_pip_download(folder), "--no-deps", "--retries", "0", "--timeout", "10"]
    tries = [(lock["torch"], ["--index-url", _TORCH_INDEX])]
    known = run(sys.executable, "-m", "pip", "index", "versions", "torch")
    for version in re.findall(r"Available versions: (.*)", known)[0].split(", "):
        tries.append((version, ["--no-index"]))
    for version, where in tries:
        command = [*map(str, get), *where, f"torch=={version}+cpu"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            major, minor, patch = version.split(".")
            assert major == "2", "which torchvision is that for?"
            return {"torch": version, "torchvision": f"0.{int(minor) + 15}.{patch}"}
    pytest.skip(f"no build of PyTorch without CUDA can be had, neither from {_TORCH_INDEX} nor by pip's find-links")
