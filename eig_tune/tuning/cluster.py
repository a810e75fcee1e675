"""Ray: starting or joining it, and how many trials fit."""

import logging
import os
from dataclasses import dataclass

from eig_tune.errors import ClusterError

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # The ledger is what a search resumes from; Ray's own snapshots of all trials would only cost time.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}


@dataclass(frozen=True)
class Resources:
    """What a search may use: GPUs (shared by ``trials_per_gpu`` trials each) or CPUs."""

    gpus: int
    trials_per_gpu: int
    cpus: int

    @property
    def slots(self) -> int:
        """Trials at once."""
        return self.gpus * self.trials_per_gpu if self.gpus else self.cpus

    @property
    def per_trial(self) -> dict[str, float]:
        """What Ray sets aside for one trial; without GPUs one CPU, and so one thread."""
        return {"cpu": 1, "gpu": 1 / self.trials_per_gpu} if self.gpus else {"cpu": 1}

    @property
    def device(self) -> str:
        """Where a trial trains."""
        return "cuda" if self.gpus else "cpu"


def start_ray(address: str | None, cpus: int | None) -> None:
    """Start Ray on this machine, or join the cluster at ``address``.

    Raises:
        ClusterError: there is no cluster at ``address``.
    """
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    import ray

    for noisy in ("ray", "ray.tune", "ray.train"):
        # What goes wrong in a trial is told in the trial's own words, and its traceback lies in a file.
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        return
    try:
        ray.init(
            address=address or "local",
            num_cpus=None if address else cpus,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        raise ClusterError(f"--address: {where} cannot be reached: {str(error).splitlines()[0]}") from error


def check_this_machine(gpus: int | None, cpus: int | None) -> None:
    """Refuse at once what this machine cannot give, before anything is started or made.

    Raises:
        ClusterError: more was asked for than there is.
    """
    import torch

    _check_there_is("--gpus", gpus, torch.cuda.device_count(), "this machine")
    _check_there_is("--cpus", cpus, os.cpu_count() or 1, "this machine")


def resources(gpus: int | None, trials_per_gpu: int, cpus: int | None) -> Resources:
    """What the running cluster can give of what was asked for; all GPUs unless told otherwise.

    Raises:
        ClusterError: more was asked for than there is.
    """
    import ray

    available = ray.cluster_resources()
    gpus_there, cpus_there = int(available.get("GPU", 0)), int(available.get("CPU", 0))
    _check_there_is("--gpus", gpus, gpus_there, "the cluster")
    _check_there_is("--cpus", cpus, cpus_there, "the cluster")
    wanted = gpus_there if gpus is None else gpus
    return Resources(wanted, trials_per_gpu, cpus or max(1, cpus_there))


def _check_there_is(option: str, wanted: int | None, there: int, where: str) -> None:
    if wanted is not None and wanted > there:
        remedy = "0 is the CPU" if there == 0 else f"ask for at most {there}"
        raise ClusterError(f"{option}: asked for {wanted}, but {where} has {there or 'none'}; {remedy}")
