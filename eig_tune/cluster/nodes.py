"""The nodes of the cluster as Ray lists them and as each describes itself, and files that all of them can see."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eig_tune.cluster import node_probe
from eig_tune.cluster.storage import Storage
from eig_tune.errors import one_line
from eig_tune.home import missing_folders

# What a trial is made of: another version may break it, or change what it measures.
LIBRARIES = ("eig-tune", "ray", "torch", "numpy", "scipy", "scikit-learn", "pydantic", "pyarrow")
_ANSWER_SECONDS = 60.0
_DRIVER = "driver"


@dataclass(frozen=True)
class Node:
    """A node of the cluster.

    Attributes:
        id: Ray's.
        host: its address.
        cpus: as many as Ray has there.
        gpus: as many as Ray has there.
        description: what ``node_probe.describe`` has found there; empty when it gave no answer.
        failure: why there is no description.
    """

    id: str
    host: str
    cpus: int
    gpus: int
    description: dict[str, Any]
    failure: str


@dataclass(frozen=True)
class SharedFiles:
    """A folder in the storage where the driver and the nodes write a file each.

    Attributes:
        filesystem: the storage's ``pyarrow.fs.FileSystem``.
        folder: its path there.
        unwritable: why this machine cannot write there, empty if it can.
    """

    filesystem: Any
    folder: str
    unwritable: str

    def has_file_of(self, node: Node) -> bool:
        """Whether this machine sees the file that the node has written."""
        return node_probe.is_there(self.filesystem, self.folder, node.id)


@contextmanager
def shared_files(storage: Storage) -> Iterator[SharedFiles]:
    """Make the folder with the driver's file; it and the folders made for it are deleted at the end of the block."""
    place, filesystem = storage.below(f".probe-{uuid.uuid4().hex}"), storage.filesystem
    folder, made = place.path, missing_folders(Path(storage.uri)) if storage.is_local else []
    unwritable = ""
    try:
        node_probe.write(filesystem, folder, _DRIVER)
    except OSError as error:
        unwritable = one_line(error)
    try:
        yield SharedFiles(filesystem, folder, unwritable)
    finally:
        with suppress(OSError):
            filesystem.delete_dir(folder)
            for above in made:
                above.rmdir()


def ask_nodes(files: SharedFiles, with_gpus: bool) -> list[Node]:
    """Have every node described by a process there, all at the same time.

    Args:
        files: in which each node reads the driver's file and writes one.
        with_gpus: ask PyTorch for the GPUs of the nodes that have some for Ray, which takes some seconds.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.cloudpickle.register_pickle_by_value(node_probe)
    # One call a process: what it does to its environment and to PyTorch must not reach a trial.
    describe = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(node_probe.describe)
    alive = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        describe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            LIBRARIES,
            files.filesystem,
            files.folder,
            _DRIVER,
            node["NodeID"],
            with_gpus and node["Resources"].get("GPU", 0) > 0,
        )
        for node in alive
    ]
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_SECONDS)
    return [_described(node, answer if answer in answered else None) for node, answer in zip(alive, asked, strict=True)]


def _described(node: dict[str, Any], answer: Any | None) -> Node:
    import ray

    description, failure = {}, f"has not answered within {_ANSWER_SECONDS:.0f} s"
    if answer is not None:
        try:
            description, failure = ray.get(answer), ""
        except ray.exceptions.RayError as error:
            failure = one_line(getattr(error, "cause", None) or error)
    cpus, gpus = (int(node["Resources"].get(kind, 0)) for kind in ("CPU", "GPU"))
    return Node(node["NodeID"], node["NodeManagerAddress"], cpus, gpus, description, failure)
