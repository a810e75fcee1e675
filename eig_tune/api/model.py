"""A trained model from Python: categories of images, and images of categories.

Shape suffixes: N images, C channels, S their side, K categories.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from eig_tune.api.running import home_at, store_uri
from eig_tune.data.arrays import images_only
from eig_tune.data.batches import to_unit_range
from eig_tune.data.resize import resized
from eig_tune.errors import DataError
from eig_tune.export.inference import sample

if TYPE_CHECKING:
    from eig_tune.data.arrays import ArrayLike
    from eig_tune.models.base import Model
    from eig_tune.training.checkpoint import RunRecord

_BATCH = 256


class TrainedModel:
    """A model with the settings that it was trained with.

    Attributes:
        record: its settings, and how long it has been trained.
        categories: the number K of its categories.
        image_size: the side S of its images.
        channels: of its images, 1 or 3.
        prior_K: its prior over the categories, float64 [K].
        groups_K: the group of each category, int64 [K], where the bundle was exported with ``merge_to``; else every
            category is a group.

    Example:
        >>> model = eig_tune.load_bundle("my-model")
        >>> model.predict(images)
    """

    def __init__(self, record: "RunRecord", model: "Model") -> None:
        self.record = record
        self._model = model
        self.categories = model.categories
        self.image_size, self.channels = record.image_size, record.channels
        self.prior_K: NDArray[np.float64] = model.prior_probabilities().double().numpy()
        self.groups_K: NDArray[np.int64] = np.array(record.groups or range(self.categories), dtype=np.int64)

    @property
    def group_shares(self) -> NDArray[np.float64]:
        """The prior of each group, which is the sum over its categories, float64 [groups].

        Example:
            >>> model.group_shares.sum()
            1.0
        """
        shares: NDArray[np.float64] = np.bincount(self.groups_K, weights=self.prior_K).astype(np.float64)
        return shares

    def predict_proba(self, images: "ArrayLike") -> NDArray[np.float32]:
        """How probable each category is for each image, Q(c|x).

        Args:
            images: [N, C, S, S] or [N, S, S], uint8 from 0 to 255 or floats from 0 to 1; those of another side are
                resized.

        Returns:
            Probabilities [N, K].

        Raises:
            DataError: these are no images, or have more channels than the model's.

        Example:
            >>> model.predict_proba(images).max(axis=1)
        """
        pixels_NCSS = self._fitting(images)
        batches = [pixels_NCSS[start : start + _BATCH] for start in range(0, len(pixels_NCSS), _BATCH)]
        logits = [self._model.category_logits(to_unit_range(torch.tensor(batch))) for batch in batches]
        probabilities_NK: NDArray[np.float32] = torch.cat(logits).float().softmax(dim=1).numpy()
        return probabilities_NK

    def predict(self, images: "ArrayLike") -> NDArray[np.int64]:
        """The most probable category of each image; arguments and errors are those of :meth:`predict_proba`.

        Returns:
            Numbers of categories [N].

        Example:
            >>> sklearn.metrics.normalized_mutual_info_score(labels, model.predict(images))
        """
        categories_N: NDArray[np.int64] = self.predict_proba(images).argmax(axis=1).astype(np.int64)
        return categories_N

    def predict_groups(self, images: "ArrayLike") -> NDArray[np.int64]:
        """The group of each image's most probable category; arguments and errors are those of :meth:`predict_proba`.

        Returns:
            Numbers of groups [N].

        Example:
            >>> model.predict_groups(images) == model.groups_K[model.predict(images)]
        """
        groups_N: NDArray[np.int64] = self.groups_K[self.predict(images)]
        return groups_N

    def sample(self, categories: Sequence[int] | None = None, count: int = 10, seed: int = 0) -> NDArray[np.uint8]:
        """Draw images; the noise is the same for every category.

        Args:
            categories: of which; None is all.
            count: images of each category.
            seed: of the noise.

        Returns:
            Images uint8 [len(categories), count, C, S, S].

        Raises:
            EigTuneError: the model has no such category.

        Example:
            >>> model.sample([3], count=1)[0, 0].shape
            (1, 16, 16)
        """
        wanted = range(self.categories) if categories is None else categories
        return sample(self._model, list(wanted), count, seed)

    def _fitting(self, images: "ArrayLike") -> NDArray[np.uint8]:
        pixels = images_only(images)
        _, channels, height, width = pixels.shape
        if channels > self.channels or height != width:
            own = f"{self.image_size} × {self.image_size} with {self.channels}"
            raise DataError(f"images: got {height} × {width} with {channels} channels; this model's are {own}")
        return resized(pixels, self.image_size, self.channels)

    def __repr__(self) -> str:
        size = f"{self.image_size} × {self.image_size} × {self.channels}"
        method = self.record.config.method
        return f"<TrainedModel {method}: {self.categories} categories of {size} images, {self.record.step:,} steps>"


def load_bundle(source: str | Path, *, home: str | Path | None = None, tracking_uri: str | None = None) -> TrainedModel:
    """A model from its bundle; nothing in a bundle is run.

    Args:
        source: a folder that ``best(…).export(folder)`` wrote, or ``models:/NAME@champion``, or ``models:/NAME/3``.
        home: folder whose MLflow store has the registered model; EIG_TUNE_HOME, or ``eig-runs``.
        tracking_uri: the MLflow store; MLFLOW_TRACKING_URI, or the home's own.

    Raises:
        CheckpointError: it is no bundle, or a file of it is missing or was changed.
        ResultError: there is no such registered model.
        TrackingError: the store cannot be reached.

    Example:
        >>> eig_tune.load_bundle("my-model").sample(count=1).shape
        (10, 1, 1, 16, 16)
    """
    from eig_tune.export import open_bundle

    return TrainedModel(*open_bundle(os.fspath(source), store_uri(tracking_uri, home_at(home).path)))
