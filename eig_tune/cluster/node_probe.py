"""What runs on a node of the cluster to describe it: versions, token, GPUs and the storage as they are seen there.

This file is pickled by value and sent to the node, where eig-tune may be missing or of another version. So it imports
nothing of eig-tune.
"""

import os
import platform
import socket
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def describe(
    libraries: Sequence[str], filesystem: Any, folder: str, others: str, mine: str, with_gpus: bool
) -> dict[str, Any]:
    """Describe the node of this process by plain values.

    Args:
        libraries: distributions whose versions are asked for.
        filesystem: the storage's ``pyarrow.fs.FileSystem``.
        folder: a folder on it.
        others: the file that the driver has written there.
        mine: the file to write there.
        with_gpus: ask PyTorch for GPUs, which takes some seconds.

    Returns:
        ``name``: the host's; ``versions``: by distribution; ``token``: whether Ray uses one here; ``gpu_gib``: memory
        of each GPU; ``storage``: what is wrong with it as seen from here, empty if nothing is.
    """
    return {
        "name": socket.gethostname(),
        "versions": versions(libraries),
        "token": os.environ.get("RAY_AUTH_MODE") == "token",
        "gpu_gib": _gpu_memory() if with_gpus else [],
        "storage": _try_storage(filesystem, folder, others, mine),
    }


def versions(libraries: Sequence[str]) -> dict[str, str | None]:
    """Versions of Python and of these distributions; None where one is not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in libraries}}


def write(filesystem: Any, folder: str, name: str) -> None:
    """Write a small file that contains its own name, and the folder if it is missing.

    Raises:
        OSError: that is not possible.
    """
    filesystem.create_dir(folder, recursive=True)
    with filesystem.open_output_stream(f"{folder}/{name}") as file:
        file.write(name.encode())


def is_there(filesystem: Any, folder: str, name: str) -> bool:
    """Whether the file is there, with its content."""
    try:
        with filesystem.open_input_stream(f"{folder}/{name}") as file:
            return bool(file.read() == name.encode())
    except FileNotFoundError:
        return False


def _try_storage(filesystem: Any, folder: str, others: str, mine: str) -> str:
    """Read the driver's file and write another; what is wrong, or nothing."""
    try:
        if not is_there(filesystem, folder, others):
            return "does not see what this machine has written there"
        write(filesystem, folder, mine)
    except OSError as error:
        return f"cannot use it ({error})"
    return ""


def _version(library: str) -> str | None:
    try:
        return version(library).partition("+")[0]  # torch's 2.9.0+cu128 and 2.9.0+cpu go together
    except PackageNotFoundError:
        return None


def _gpu_memory() -> list[float]:
    """GiB of every GPU that torch can see."""
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray hides GPUs from a task that has asked for none
    try:
        import torch
    except ImportError:
        return []
    count = torch.cuda.device_count()
    return [torch.cuda.get_device_properties(device).total_memory / 2**30 for device in range(count)]
