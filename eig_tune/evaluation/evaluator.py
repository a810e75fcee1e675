"""Judging a model: the five metrics of the design, and the label-free quantities beside them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eig_tune.data import AugmentSettings, ImageData, augment
from eig_tune.evaluation import metrics
from eig_tune.evaluation.classifier import EvaluationClassifier

LABELLED_METRICS = ("nmi", "average_entropy", "prior_rmse", "nmi_real", "posterior_rmse")
LABEL_FREE_METRICS = (
    "augment_agreement",
    "q_entropy",
    "q_mutual_information",
    "prior_posterior_gap",
    "code_recovery",
)
# Told at every report for what it says of a run's health; nothing to optimise.
HEALTH_METRICS = ("prior_entropy",)
_MINIMIZED = frozenset({"average_entropy", "prior_rmse", "posterior_rmse", "q_entropy", "prior_posterior_gap"})
DIRECTIONS = {
    name: "minimize" if name in _MINIMIZED else "maximize" for name in (*LABELLED_METRICS, *LABEL_FREE_METRICS)
}
_SAMPLES_PER_CATEGORY, _MOST_SAMPLES = 10, 1000
_TALLEST = 125  # times as high as wide: the UI's small copies of a picture have 256 pixels
_LARGEST_POOL_SAMPLE = 2000
_CHUNK = 500
_SEED = 20_200_102


class EvaluatedModel(Protocol):
    """What a model must offer to be judged."""

    categories: int
    noise_dim: int

    def generate(self, categories_N: Tensor, noise: Tensor) -> Tensor: ...

    def category_logits(self, images_NCHW: Tensor) -> Tensor: ...

    def prior_probabilities(self) -> Tensor: ...


@dataclass(frozen=True)
class Evaluation:
    """What was seen of a model at one step.

    Attributes:
        metrics: every metric by name.
        table: category × class counts [K, C]; None where there is no evaluation classifier.
        prior: the model's prior [K].
        class_distribution: the true class distribution [C]; None without labels.
        samples: generated images uint8 [K, n, C, S, S], one row per category.
    """

    metrics: dict[str, float]
    table: NDArray[np.float64] | None
    prior: NDArray[np.float64]
    class_distribution: NDArray[np.float64] | None
    samples: NDArray[np.uint8]


class Evaluator:
    """Judges models of one data set on one device; the same model always gets the same metrics."""

    def __init__(
        self,
        data: ImageData,
        classifier: EvaluationClassifier | None,
        augment_settings: AugmentSettings,
        device: torch.device,
    ) -> None:
        self._device = device
        self._augment = augment_settings
        self._classes = len(data.classes)
        self._classifier = None if classifier is None else classifier.network(device)
        self._class_distribution = data.class_distribution
        self._pool = torch.tensor(_spread(data.pool.pixels, _LARGEST_POOL_SAMPLE), device=device)
        self._held_out = torch.tensor(data.held_out.pixels, device=device)
        self._held_out_labels = data.held_out.labels

    def evaluate(self, model: EvaluatedModel, images_per_category: int) -> Evaluation:
        """Judge ``model`` on ``images_per_category`` generated images of each category, and on real ones."""
        generator = torch.Generator(self._device).manual_seed(_SEED)
        categories_N, classes_N, recovered_N = self._evaluate_generated(model, images_per_category, generator)
        measured, q_NK = self._label_free(model, generator)
        measured["code_recovery"] = metrics.agreement(categories_N, recovered_N)
        prior_K = model.prior_probabilities().double().numpy()
        measured["prior_entropy"] = metrics.entropy(prior_K)
        measured["prior_posterior_gap"] = metrics.total_variation(prior_K, q_NK.mean(axis=0))
        table_KC = None
        if classes_N is not None and self._class_distribution is not None:
            table_KC = metrics.category_table(categories_N, classes_N, (model.categories, self._classes))
            measured |= self._labelled(model, table_KC, prior_K, q_NK.mean(axis=0))
        return Evaluation(
            measured,
            table_KC,
            prior_K,
            self._class_distribution,
            sample_grid(model, samples_per_category(model.categories), self._device),
        )

    def _evaluate_generated(
        self, model: EvaluatedModel, images_per_category: int, generator: torch.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64]]:
        """Categories asked for, classes the evaluation classifier saw, and categories that Q read back, each [N]."""
        categories_N = torch.arange(model.categories, device=self._device).repeat(images_per_category)
        classes, recovered = [], []
        for part in categories_N.split(_CHUNK):
            noise = torch.randn(len(part), model.noise_dim, generator=generator, device=self._device)
            images = model.generate(part, noise)
            recovered.append(model.category_logits(images).argmax(dim=1))
            if self._classifier is not None:
                with torch.no_grad():
                    classes.append(self._classifier(images).argmax(dim=1))
        return categories_N.cpu().numpy(), _joined(classes) if classes else None, _joined(recovered)

    def _label_free(
        self, model: EvaluatedModel, generator: torch.Generator
    ) -> tuple[dict[str, float], NDArray[np.float64]]:
        """Quantities on pool images that need no label, and Q(c|x) of those images [N, K]."""
        q, augmented_q = [], []
        for part in self._pool.split(_CHUNK):
            images = to_unit_range(part)
            q.append(model.category_logits(images).softmax(dim=1))
            augmented_q.append(model.category_logits(augment(images, self._augment, generator)))
        q_NK = torch.cat(q).double().cpu().numpy()
        measured = {
            "augment_agreement": metrics.agreement(q_NK.argmax(axis=1), _joined([a.argmax(1) for a in augmented_q])),
            "q_entropy": metrics.q_entropy(q_NK),
            "q_mutual_information": metrics.q_mutual_information(q_NK),
        }
        return measured, q_NK

    def _labelled(
        self,
        model: EvaluatedModel,
        table_KC: NDArray[np.float64],
        prior_K: NDArray[np.float64],
        posterior_K: NDArray[np.float64],
    ) -> dict[str, float]:
        assert self._class_distribution is not None and self._held_out_labels is not None
        read = [model.category_logits(to_unit_range(part)).argmax(dim=1) for part in self._held_out.split(_CHUNK)]
        real_KC = metrics.category_table(_joined(read), self._held_out_labels, table_KC.shape)
        return {
            "nmi": metrics.nmi(table_KC),
            "average_entropy": metrics.average_entropy(table_KC),
            "prior_rmse": metrics.prior_rmse(table_KC, prior_K, self._class_distribution),
            "nmi_real": metrics.nmi(real_KC),
            "posterior_rmse": metrics.prior_rmse(table_KC, posterior_K, self._class_distribution),
        }


def samples_per_category(categories: int) -> int:
    """How many samples a picture shows of each: fewer of many."""
    return min(_SAMPLES_PER_CATEGORY, max(_MOST_SAMPLES // categories, -(-categories // _TALLEST)))


def sample_grid(model: EvaluatedModel, per_category: int, device: torch.device) -> NDArray[np.uint8]:
    """Images uint8 [K, n, C, S, S], one row per category; the same noise in every row."""
    generator = torch.Generator(device).manual_seed(_SEED)
    noise = torch.randn(per_category, model.noise_dim, generator=generator, device=device)
    return sample_rows(model, torch.arange(model.categories, device=device), noise)


def sample_rows(model: EvaluatedModel, categories_R: Tensor, noise_nD: Tensor) -> NDArray[np.uint8]:
    """Images uint8 [R, n, C, S, S]: one row for each of the categories, made from the same noise [n, D]."""
    rows, count = len(categories_R), len(noise_nD)
    categories, noise = categories_R.repeat_interleave(count), noise_nD.repeat(rows, 1)
    parts = zip(categories.split(_CHUNK), noise.split(_CHUNK), strict=True)
    pixels = np.concatenate([to_pixels(model.generate(some, their_noise)) for some, their_noise in parts])
    return pixels.reshape(rows, count, *pixels.shape[1:])


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Images in [-1, 1] as uint8, on the CPU."""
    pixels: NDArray[np.uint8] = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
    return pixels


def to_unit_range(pixels: Tensor) -> Tensor:
    """uint8 images as floats in [-1, 1]."""
    return pixels.float() / 127.5 - 1


def _joined(parts: list[Tensor]) -> NDArray[np.int64]:
    joined: NDArray[np.int64] = torch.cat(parts).cpu().numpy()
    return joined


def _spread(pixels: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    """At most ``most`` images, evenly spread over the (already shuffled) pool."""
    if len(pixels) <= most:
        return pixels
    return pixels[np.linspace(0, len(pixels) - 1, most).astype(np.int64)]
