"""Evaluating a model: what is observed of it once, the metrics that follow, and a grid of its samples.

Shape suffixes: G generated images, M of which are compared with real ones, N images of a batch or of the training set,
K categories, C classes (of a table) or channels (of images), H and W the side S, D noise numbers, F features, R rows of
a grid and n images of each.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eig_tune.data import AugmentSettings, ImageData, Images
from eig_tune.data.augment import augment
from eig_tune.data.batches import to_unit_range
from eig_tune.evaluation import metrics, registry
from eig_tune.evaluation.base import Array, Indices, LabelledObservations, Observations
from eig_tune.evaluation.categories import CategoryView, view_categories
from eig_tune.evaluation.classifier import EvaluationClassifier
from eig_tune.evaluation.frechet import FeatureMoments
from eig_tune.evaluation.neighbours import NearestImages
from eig_tune.models.base import EvaluatedModel

_SAMPLES_PER_CATEGORY, _MOST_SAMPLES = 10, 1000
_TALLEST = 125  # times as high as wide: the UI's small copies of a picture have 256 pixels
_MOST_TRAINING_IMAGES = 2000
_MOST_HELD_OUT_IMAGES = 10_000  # as many as MNIST's; they are all looked at in every evaluation
_NEIGHBOURS = 5
_MOST_COMPARED = 1000  # generated images that are compared with real ones; ten of each category where that is more
_CHUNK = 500
_SEED = 20_200_102


@dataclass(frozen=True)
class _Generated:
    """What is seen of generated images; see :class:`Observations`."""

    categories_G: Indices
    classes_G: Indices | None
    features_GF: Array | None
    recovered_G: Indices
    nearest_M5: Indices


@dataclass(frozen=True)
class Evaluation:
    """What was seen of a model at one step.

    Attributes:
        metrics: every metric by name.
        table: category × class counts [K, C]; None without labels.
        prior: the model's prior [K].
        class_distribution: the true class distribution [C]; None without labels.
        samples: generated images uint8 [K, n, C, S, S], one row per category.
        categories: what is seen of each category without labels.
        assigned: argmax Q(c|x) of training images [N], the same images for every model of a data set.
    """

    metrics: dict[str, float]
    table: NDArray[np.float64] | None
    prior: NDArray[np.float64]
    class_distribution: NDArray[np.float64] | None
    samples: NDArray[np.uint8]
    categories: CategoryView
    assigned: NDArray[np.int64]


class Evaluator:
    """Evaluates models of one data set on one device; the same model always gets the same metrics."""

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
        self._training_pixels = _spread(data.training, _MOST_TRAINING_IMAGES).pixels
        self._training_images = torch.tensor(self._training_pixels, device=device)
        self._nearest = NearestImages(to_unit_range(self._training_images), augment_settings)
        if self._classifier is not None:
            seen = [self._features(to_unit_range(part)) for part in self._training_images.split(_CHUNK)]
            self._real = FeatureMoments.of(torch.cat(seen).double().cpu().numpy())
        held_out = _spread(data.held_out, _MOST_HELD_OUT_IMAGES)
        self._held_out = torch.tensor(held_out.pixels, device=device)
        self._held_out_labels = held_out.labels

    def evaluate(self, model: EvaluatedModel, images_per_category: int) -> Evaluation:
        """Evaluate ``model`` on ``images_per_category`` generated images of each category, and on real ones."""
        observations = self._observe(model, images_per_category)
        return Evaluation(
            registry.computed(observations),
            observations.table_KC if isinstance(observations, LabelledObservations) else None,
            observations.prior_K,
            self._class_distribution,
            sample_grid(model, samples_per_category(model.categories), self._device),
            view_categories(observations, self._training_pixels),
            observations.read,
        )

    def _observe(self, model: EvaluatedModel, images_per_category: int) -> Observations:
        generator = torch.Generator(self._device).manual_seed(_SEED)
        generated = self._generated(model, images_per_category, generator)
        q_NK, augmented_q_NK = self._on_training_images(model, generator)
        seen = Observations(
            model=model,
            categories_G=generated.categories_G,
            recovered_G=generated.recovered_G,
            nearest_M5=generated.nearest_M5,
            prior_K=model.prior_probabilities().double().numpy(),
            q_NK=q_NK,
            posterior_K=q_NK.mean(axis=0),
            augmented_q_NK=augmented_q_NK,
        )
        if generated.classes_G is None or generated.features_GF is None or self._class_distribution is None:
            return seen
        shape = (model.categories, self._classes)
        return LabelledObservations(
            **{field.name: getattr(seen, field.name) for field in fields(seen)},
            table_KC=metrics.category_table(generated.categories_G, generated.classes_G, shape),
            real_table_KC=self._on_held_out_images(model),
            class_distribution_C=self._class_distribution,
            generated=FeatureMoments.of(generated.features_GF, seen.prior_K[generated.categories_G]),
            real=self._real,
        )

    @torch.no_grad()
    def _features(self, images_NCHW: Tensor) -> Tensor:
        """What the evaluation classifier's last layer is given [N, F]."""
        assert self._classifier is not None
        features_NF: Tensor = self._classifier[:-1](images_NCHW)
        return features_NF

    def _generated(self, model: EvaluatedModel, images_per_category: int, generator: torch.Generator) -> "_Generated":
        categories_G = torch.arange(model.categories, device=self._device).repeat(images_per_category)
        compared = max(_MOST_COMPARED, 10 * model.categories)
        features: list[Tensor] = []
        classes: list[Tensor] = []
        recovered: list[Tensor] = []
        nearest: list[Tensor] = []
        for part in categories_G.split(_CHUNK):
            noise_ND = torch.randn(len(part), model.noise_dim, generator=generator, device=self._device)
            images_NCHW = model.generate(part, noise_ND)
            recovered.append(model.category_logits(images_NCHW).argmax(dim=1))
            if len(nearest) * _CHUNK < compared:
                nearest.append(self._nearest.of(images_NCHW, _NEIGHBOURS))
            if self._classifier is not None:
                features.append(self._features(images_NCHW))
                with torch.no_grad():
                    classes.append(self._classifier[-1](features[-1]).argmax(dim=1))
        return _Generated(
            categories_G.cpu().numpy(),
            _joined(classes) if classes else None,
            torch.cat(features).double().cpu().numpy() if features else None,
            _joined(recovered),
            _joined(nearest)[:compared],
        )

    def _on_training_images(self, model: EvaluatedModel, generator: torch.Generator) -> tuple[Array, Array]:
        """Q(c|x) of training images [N, K], and of the same images under a random transformation."""
        q, augmented = [], []
        for part in self._training_images.split(_CHUNK):
            images_NCHW = to_unit_range(part)
            q.append(model.category_logits(images_NCHW).softmax(dim=1))
            transformed_NCHW = augment(images_NCHW, self._augment, generator)
            augmented.append(model.category_logits(transformed_NCHW).softmax(dim=1))
        return torch.cat(q).double().cpu().numpy(), torch.cat(augmented).double().cpu().numpy()

    def _on_held_out_images(self, model: EvaluatedModel) -> NDArray[np.float64]:
        """Counts [K, C] of argmax Q and true class."""
        assert self._held_out_labels is not None, "labels are known for all images or for none"
        read = [model.category_logits(to_unit_range(part)).argmax(dim=1) for part in self._held_out.split(_CHUNK)]
        return metrics.category_table(_joined(read), self._held_out_labels, (model.categories, self._classes))


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


def _joined(parts: list[Tensor]) -> NDArray[np.int64]:
    joined: NDArray[np.int64] = torch.cat(parts).cpu().numpy()
    return joined


def _spread(images: Images, most: int) -> Images:
    """At most ``most`` images, evenly spread over them: they are shuffled already, or in the order of their files."""
    if len(images) <= most:
        return images
    return images.take(np.linspace(0, len(images) - 1, most).astype(np.int64))
