"""Shared fixtures: real digits at 16 × 16, their evaluation classifier, and the smallest run that is still whole."""

import gzip
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import classifiers
import numpy as np
import pytest
from numpy.typing import NDArray

from eig_tune.data import DatasetConfig, ImageData, Images, load_images
from eig_tune.evaluation.classifier import EvaluationClassifier, train_classifier
from eig_tune.models import NetworkSettings
from eig_tune.tracking.client import open_client
from eig_tune.training import TrainConfig, TrainSettings
from eig_tune.training.loop import TrialData

IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
Array = NDArray[np.uint8]


def pytest_configure(config: pytest.Config) -> None:
    """A folder for the run's classifiers; and Ray's processes wait for nobody.

    At nice 15, as Ray has them, a test would wait for whatever else runs.
    """
    os.environ.setdefault("RAY_worker_niceness", "0")
    if classifiers.make_folder():
        config.add_cleanup(classifiers.remove_folder)


class ClientInThisProcess:
    """MLflow's client where a tracker has one in a process of its own, whose start takes seconds."""

    def __init__(self, uri: str) -> None:
        self._client = open_client(uri)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def end(self) -> None:
        """There is nothing to end."""


@pytest.fixture(autouse=True)
def client_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trackers start no process, except in commands that a test starts and in test_client_process.py."""
    monkeypatch.setattr("eig_tune.tracking.tracker.ClientProcess", ClientInThisProcess)


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """scikit-learn's digits, imbalance split 0."""
    return load_images(DatasetConfig(name="digits"))


@pytest.fixture(scope="session")
def classifier(digits: ImageData, tmp_path_factory: pytest.TempPathFactory) -> EvaluationClassifier:
    """An evaluation classifier of the digits, trained for 150 steps: good enough to tell them apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eig_tune.evaluation.classifier._SMALLEST_STEPS", 150)
        patch.setattr("eig_tune.evaluation.classifier._LARGEST_STEPS", 150)
        return train_classifier(digits, tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="session")
def few_digits(digits: ImageData) -> ImageData:
    """A hundred or so of the digits in each set, every class among them, so that judging takes no time."""
    return replace(
        digits,
        training=digits.training.take(np.arange(100)),
        trainable=digits.trainable.take(np.arange(200)),
        held_out=digits.held_out.take(np.arange(60)),
    )


@pytest.fixture(scope="session")
def unlabelled_digits(few_digits: ImageData) -> ImageData:
    """The same images, as a folder without classes would give them."""
    training, held_out = (Images(images.pixels, None) for images in (few_digits.training, few_digits.held_out))
    return ImageData("folder", (), training=training, trainable=training, held_out=held_out)


@pytest.fixture(scope="session")
def trial_data(few_digits: ImageData, classifier: EvaluationClassifier) -> TrialData:
    return TrialData(few_digits, classifier)


@pytest.fixture(scope="session")
def tiny_config() -> TrainConfig:
    """Five steps of a very small Elastic-InfoGAN, reported at steps 2, 4 and 5."""
    return TrainConfig(
        model=NetworkSettings(width=4, noise_dim=4),
        train=TrainSettings(steps=5, report_every=2, batch_size=8, images_per_category=2, final_images_per_category=3),
    )


@pytest.fixture(scope="session")
def idx_bytes() -> Callable[[Array], bytes]:
    """The IDX file of an array of bytes, as LeCun's page defines it."""

    def written(array: Array) -> bytes:
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        return header + array.tobytes()

    return written


@pytest.fixture(scope="session")
def idx_arrays() -> tuple[Array, Array, Array, Array]:
    """40 training and 20 test images of 12 × 12 with their labels 0…9, in the order of ``IDX_NAMES``."""
    rng = np.random.default_rng(0)
    return (
        rng.integers(256, size=(40, 12, 12), dtype=np.uint8),
        np.arange(40, dtype=np.uint8) % 10,
        rng.integers(256, size=(20, 12, 12), dtype=np.uint8),
        np.arange(20, dtype=np.uint8) % 10,
    )


@pytest.fixture
def write_idx_set(
    idx_bytes: Callable[[Array], bytes], idx_arrays: tuple[Array, Array, Array, Array]
) -> Callable[..., Path]:
    """Writes the four IDX files into a folder, plain or gzipped; other arrays may be given by file name."""

    def write(folder: Path, *, gz: bool = False, **others: Array) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in zip(IDX_NAMES, idx_arrays, strict=True):
            raw = idx_bytes(others.get(name.replace("-", "_"), array))
            (folder / f"{name}.gz" if gz else folder / name).write_bytes(gzip.compress(raw) if gz else raw)
        return folder

    return write
