"""One trial as a Ray Tune trainable: a thin shell around ``fit``."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from ray import tune
from safetensors import SafetensorError

from eig_tune.errors import StorageError, one_line
from eig_tune.training import Progress, TrainConfig, TrialData, fit
from eig_tune.tuning.storage import Storage


class EigTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration; each ``step`` is one report.

    The actor stays alive between trials (``reset_config``), so that a new trial starts within milliseconds.
    Its config has ``run`` (a :class:`TrainConfig` document), ``dataset`` (a name in ``datasets``) and
    ``checkpoint`` (the location of one to go on from, or None).
    """

    def setup(
        self,
        config: dict[str, Any],
        datasets: Mapping[str, TrialData] | None = None,
        storage: Storage | None = None,
        device: str = "cpu",
    ) -> None:
        """Take images and judge from the object store, once per actor."""
        assert datasets is not None and storage is not None, "tune.with_parameters gives them"
        self._datasets = datasets
        self._where = storage
        self._device = torch.device(device)
        if device == "cpu":
            torch.set_num_threads(1)
        self._start(config)

    def _start(self, config: dict[str, Any]) -> None:
        self._config = TrainConfig.model_validate(config["run"])
        self._data = self._datasets[config["dataset"]]
        self._begin(config["checkpoint"])

    def _begin(self, checkpoint: str | None) -> None:
        self._progress = self._fit(checkpoint)
        self._newest: Progress | None = None

    def _fit(self, checkpoint: str | None) -> Iterator[Progress]:
        with ExitStack() as until_it_is_read:
            folder = None if checkpoint is None else until_it_is_read.enter_context(self._where.local(checkpoint))
            for progress in fit(self._config, self._data, folder, self._device):
                until_it_is_read.close()
                yield progress

    def step(self) -> dict[str, Any]:
        """Train to the next report."""
        self._newest = progress = next(self._progress)
        return {
            "step": progress.step,
            "measured": progress.metrics(),
            "train_seconds": progress.train_seconds,
            "evaluation_seconds": progress.evaluation_seconds,
        }

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Write a checkpoint and bring it to the storage.

        Raises:
            StorageError: that is not possible, for which the trial can do nothing.
        """
        try:
            with TemporaryDirectory(prefix="eig-tune-") as folder:
                return super().save(checkpoint_dir or folder)
        except (OSError, SafetensorError) as error:
            raise StorageError(f"a checkpoint cannot be written ({one_line(error)})") from error

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
