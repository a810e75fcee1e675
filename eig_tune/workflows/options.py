"""Where, with what and for how long trials run."""

from dataclasses import dataclass, field
from pathlib import Path

from eig_tune.cluster.storage_address import named_storage
from eig_tune.errors import EigTuneError
from eig_tune.home import Home
from eig_tune.paths import check_name
from eig_tune.stopping import Stop
from eig_tune.tracking import local_uri, masked


@dataclass(frozen=True)
class RunOptions:
    """Where, with what and for how long trials run; none of it changes what is tried.

    Attributes:
        name: of the search or comparison, and of its experiment in MLflow.
        tracking_uri: the MLflow store.
        gpus: at most so many; 0 is the CPU, None is all.
        trials_per_gpu: how many share one GPU; None goes by its memory.
        cpus: without GPUs at most so many trials at once; None is all.
        address: of a Ray cluster; None is this machine.
        autoscale: the cluster starts nodes for trials that wait; ``gpus``, or without GPUs ``cpus``, says for how many.
        storage: where checkpoints lie; None is in the home.
        resume: go on with what has this name already.
        stop: asks for the end of the work.
    """

    name: str
    tracking_uri: str
    gpus: int | None = None
    trials_per_gpu: int | None = 1
    cpus: int | None = None
    address: str | None = None
    autoscale: bool = False
    storage: str | None = None
    resume: bool = False
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        check_name(self.name, "--name")
        if self.name == "Default":
            raise EigTuneError("--name: 'Default' is an experiment that MLflow has for other things; give another name")


def shared_places(options: RunOptions, home: Home) -> list[str]:
    """Where a search writes outside of its home, so that a copy of the home would write there too."""
    storage = named_storage(options.storage, home.ray)
    checkpoints = [] if storage.is_local and Path(storage.uri).is_relative_to(home.path) else [storage.uri]
    runs = [] if options.tracking_uri == local_uri(home.path) else [masked(options.tracking_uri)]
    return [*checkpoints, *runs]
