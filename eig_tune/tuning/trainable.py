"""One trial as a Ray Tune trainable: a thin shell around ``fit``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from ray import tune

from eig_tune.training import Progress, TrainConfig, TrialData, fit


class EigTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration; each ``step`` is one report.

    The actor stays alive between trials (``reset_config``), so that a new trial starts within milliseconds.
    Its config has ``run`` (a :class:`TrainConfig` document), ``dataset`` (a name in ``datasets``) and
    ``checkpoint`` (a directory to go on from, or None).
    """

    def setup(
        self, config: dict[str, Any], datasets: Mapping[str, TrialData] | None = None, device: str = "cpu"
    ) -> None:
        """Take images and judge from the object store, once per actor."""
        assert datasets is not None, "tune.with_parameters gives the data"
        self._datasets = datasets
        self._device = torch.device(device)
        if device == "cpu":
            torch.set_num_threads(1)
        self._start(config)

    def _start(self, config: dict[str, Any]) -> None:
        self._config = TrainConfig.model_validate(config["run"])
        self._data = self._datasets[config["dataset"]]
        checkpoint = config.get("checkpoint")
        self._begin(Path(checkpoint) if checkpoint else None)

    def _begin(self, checkpoint: Path | None) -> None:
        self._progress: Iterator[Progress] = fit(self._config, self._data, checkpoint, self._device)
        self._newest: Progress | None = None

    def step(self) -> dict[str, Any]:
        """Train to the next report."""
        self._newest = progress = next(self._progress)
        return {
            "step": progress.step,
            "measured": progress.metrics(),
            "train_seconds": progress.train_seconds,
            "evaluation_seconds": progress.evaluation_seconds,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write what ``load_checkpoint`` needs."""
        assert self._newest is not None, "Ray saves after a report"
        self._newest.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: str) -> None:
        """Go back to a checkpoint of this very trial."""
        self._begin(Path(checkpoint))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial without a new process."""
        self._start(new_config)
        return True
