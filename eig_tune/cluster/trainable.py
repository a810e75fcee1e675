"""One trial as a Ray Tune trainable, around ``fit``."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
import torch
from ray import tune
from safetensors import SafetensorError

from eig_tune.cluster.ray_private import is_missing_storage
from eig_tune.cluster.storage import Storage
from eig_tune.errors import ClusterError, StorageError, one_line
from eig_tune.hpo.trial import HALVED_BATCH
from eig_tune.training import TrainConfig
from eig_tune.training.checkpoint import read_run
from eig_tune.training.loop import Progress, TrialData, fit


class EigTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration; each ``step`` is one report.

    If the GPU's memory does not suffice, it goes on from the newest checkpoint with half the batch, once; what it has
    reported since that checkpoint stays as it was.

    The actor stays alive between trials (``reset_config``), so that a new trial starts within milliseconds.
    Its config has ``run`` (a :class:`TrainConfig` document), ``dataset`` (a name in ``datasets``), ``datasets`` (None,
    or Ray's reference to others, which were made later) and ``checkpoint`` (the location of one to go on from, or
    None).
    """

    def setup(
        self,
        config: dict[str, Any],
        datasets: Mapping[str, TrialData] | None = None,
        storage: Storage | None = None,
        device: str = "cpu",
    ) -> None:
        """Take images, evaluation classifiers and the user's own metrics and methods from the object store, once."""
        assert datasets is not None and storage is not None, "tune.with_parameters gives them"
        for data in datasets.values():
            data.register()
        self._datasets = datasets
        self._where = storage
        # PyTorch may not be able to use a GPU that Ray has: no driver, or a build without CUDA.
        self._device = torch.device(device if torch.cuda.is_available() else "cpu")
        if self._device.type == "cpu":
            torch.set_num_threads(1)
        self._start(config)

    def _start(self, config: dict[str, Any]) -> None:
        self._config = TrainConfig.model_validate(config["run"])
        later = config["datasets"]
        self._data = (self._datasets if later is None else ray.get(later))[config["dataset"]]
        self._whole_batch = self._config.train.batch_size
        self._begin(config["checkpoint"])

    def _begin(self, checkpoint: str | None) -> None:
        self._checkpoint = checkpoint
        self._progress = self._fit()
        self._newest: Progress | None = None

    def _fit(self) -> Iterator[Progress]:
        with ExitStack() as until_it_is_read:
            folder = None
            if self._checkpoint is not None:
                folder = until_it_is_read.enter_context(self._where.local(self._checkpoint))
                batch = read_run(folder).config.train.batch_size  # half of it, if the trial needed that before
                self._config = self._config.with_params({"batch_size": min(batch, self._config.train.batch_size)})
            for progress in fit(self._config, self._data, folder, self._device):
                until_it_is_read.close()
                yield progress

    def step(self) -> dict[str, Any]:
        """Train to the next report.

        Raises:
            ClusterError: the GPU's memory does not suffice, not even for half the batch.
        """
        progress = self._next()
        if progress is None:
            self._halve_batch()
            progress = self._next()
        if progress is None:
            raise self._out_of_memory()
        self._newest = progress
        batch = self._config.train.batch_size
        halved = {} if batch == self._whole_batch else {HALVED_BATCH: float(batch)}
        return {
            "step": progress.step,
            "device": self._device.type,
            "measured": {**progress.metrics(), **halved},
            "train_seconds": progress.train_seconds,
            "evaluation_seconds": progress.evaluation_seconds,
        }

    def _next(self) -> Progress | None:
        """The next report; None when memory does not suffice. The error goes with all that its traceback holds."""
        try:
            return next(self._progress)
        except torch.OutOfMemoryError:
            return None

    def _halve_batch(self) -> None:
        half = self._config.train.batch_size // 2
        if self._config.train.batch_size < self._whole_batch or half < 2:
            raise self._out_of_memory()
        self._config = self._config.with_params({"batch_size": half})
        self._begin(self._checkpoint)  # lets go of the model that was too large
        gc.collect()
        torch.cuda.empty_cache()

    def _out_of_memory(self) -> ClusterError:
        batch, whole = self._config.train.batch_size, self._whole_batch
        tried = f"{batch}" if batch == whole else f"{whole}, nor for one of {batch}"
        return ClusterError(
            f"the GPU's memory does not suffice for a batch of {tried}; give fewer --trials-per-gpu, or a smaller "
            "batch_size or width"
        )

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Write a checkpoint and bring it to the storage.

        Raises:
            StorageError: that is not possible, because of the storage and not of the trial.
        """
        try:
            with TemporaryDirectory(prefix="eig-tune-") as folder:
                saved = super().save(checkpoint_dir or folder)
        except (OSError, SafetensorError) as error:
            raise StorageError(f"a checkpoint cannot be written ({one_line(error)})") from error
        except RuntimeError as error:
            if not is_missing_storage(error):
                raise
            reason = f"Ray's folder in {self._where.uri} is missing"
            raise StorageError(f"a checkpoint cannot be written ({reason})") from error
        self._checkpoint = self._where.location(saved.checkpoint.path)
        return saved

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write what ``load_checkpoint`` needs."""
        assert self._newest is not None, "Ray saves after a report"
        self._newest.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: str) -> None:
        """Go back to a checkpoint of this very trial."""
        self._begin(checkpoint)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial without a new process."""
        self._start(new_config)
        return True
