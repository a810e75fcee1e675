"""The evaluation classifier: a small CNN, trained once per data set and cached on disk.

Shape suffixes: N images, C classes.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy

from eig_tune.data import AugmentSettings, ImageData
from eig_tune.data.augment import augment
from eig_tune.data.batches import batches_of, to_unit_range
from eig_tune.errors import DataError

LOWEST_ACCURACY = {"fashion-mnist": 0.85}
_DEFAULT_LOWEST_ACCURACY = 0.95
_BATCH = 128
_SMALLEST_STEPS, _LARGEST_STEPS = 500, 1500
_EPOCHS = 12
_EASY_CLASSES = 10  # that are learned in so many steps; more take more in proportion
_PEAK_LR = 3e-3
_GENTLE = AugmentSettings(rotation=10, zoom=0.1, shear=3, shift=0.05, distortion=0.02)
_VERSION = 2

Role = Literal["selection", "confirmation"]
_SEED_OF_ROLE: dict[Role, int] = {"selection": 0, "confirmation": 7919}


@dataclass(frozen=True)
class EvaluationClassifier:
    """A trained classifier and its accuracy on held-out images: the mean over classes of the share that it knows, since
    one that always says the commonest class is right on 95 % of images of which that are 95 %."""

    classes: int
    channels: int
    weights: dict[str, NDArray[np.float32]]
    accuracy: float
    role: Role = "selection"

    def network(self, device: torch.device) -> nn.Sequential:
        """The classifier in evaluation mode on ``device``: images in [-1, 1] to class logits [N, C], made by its last
        layer."""
        network = _NETWORKS[self.role](self.channels, self.classes)
        network.load_state_dict({name: torch.tensor(value) for name, value in self.weights.items()})
        network.to(device).eval()
        return network


def lowest_accuracy(dataset: str) -> float:
    """The held-out accuracy below which an evaluation classifier of this data set should not be trusted."""
    return LOWEST_ACCURACY.get(dataset, _DEFAULT_LOWEST_ACCURACY)


def train_classifier(
    data: ImageData,
    cache: Path,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    role: Role = "selection",
    threads: int | None = None,
    device: torch.device | None = None,
) -> EvaluationClassifier:
    """The evaluation classifier of ``data``: from ``cache`` when it was trained before, else trained (and cached) now.

    Args:
        threads: of the CPU, if it is trained beside other work; None is as many as PyTorch takes by itself.
        device: where it is trained; None is the GPU, if there is one.
        role: the one that trials are selected by, or the one of another architecture and other random numbers that
            confirms what was selected, so that a search cannot overfit its evaluation classifier.
        on_progress: called with (steps done, steps in all) while training.

    Raises:
        DataError: the data set has no labels.
    """
    if data.trainable.labels is None:
        raise DataError("these images have no labels, so no evaluation classifier can be trained on them")
    file = cache / f"{_cache_key(data, seed, role)}.safetensors"
    classifier = _load(file, len(data.classes), data.channels, role)
    if classifier is None:
        with _threads(threads):
            classifier = _train(data, seed, on_progress, role, device)
        _save(classifier, file)
    return classifier


def _cache_key(data: ImageData, seed: int, role: Role) -> str:
    digest = hashlib.sha256(repr((_VERSION, data.classes, seed, role)).encode())
    for images in (data.trainable, data.held_out):
        images.update(digest)
    return f"judge-{data.name}-{digest.hexdigest()[:16]}"


def _selection_network(channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        *_block(channels, 16, stride=1),
        *_block(16, 32, stride=2),
        *_block(32, 64, stride=2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(64 * 4, classes),
    )


def _confirmation_network(channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 24, 5, stride=2, padding=2),
        nn.GELU(),
        *_block(24, 48, stride=1),
        *_block(48, 48, stride=2),
        nn.AdaptiveMaxPool2d(3),
        nn.Flatten(),
        nn.Linear(48 * 9, 96),
        nn.GELU(),
        nn.Dropout(0.3),
        nn.Linear(96, classes),
    )


_NETWORKS: dict[Role, Callable[[int, int], nn.Sequential]] = {
    "selection": _selection_network,
    "confirmation": _confirmation_network,
}


def _block(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """In the block, what is called in this thread computes on so many; None leaves it at what it is."""
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        if number is not None:
            torch.set_num_threads(before)


def _train(
    data: ImageData, seed: int, on_progress: Callable[[int, int], None], role: Role, device: torch.device | None
) -> EvaluationClassifier:
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batches, labels = batches_of(data.trainable, device), torch.tensor(data.trainable.labels, device=device)
    seed += _SEED_OF_ROLE[role]
    generator = torch.Generator(device).manual_seed(seed)
    most = int(_LARGEST_STEPS * max(1, len(data.classes) / _EASY_CLASSES))
    steps = int(np.clip(_EPOCHS * len(labels) // _BATCH, _SMALLEST_STEPS, most))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = _NETWORKS[role](data.channels, len(data.classes)).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=_PEAK_LR, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_LR, total_steps=steps)
        for step in range(steps):
            chosen = torch.randint(len(labels), (_BATCH,), generator=generator, device=device)
            images = to_unit_range(batches.at(chosen))
            loss = cross_entropy(network(augment(images, _GENTLE, generator)), labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            on_progress(step + 1, steps)
    weights = {name: value.detach().cpu().float().numpy() for name, value in network.state_dict().items()}
    return EvaluationClassifier(
        len(data.classes), data.channels, weights, _accuracy(network.eval(), data, device), role
    )


@torch.no_grad()
def _accuracy(network: nn.Module, data: ImageData, device: torch.device) -> float:
    assert data.held_out.labels is not None
    predicted, start = (
        np.empty(len(data.held_out), np.int64),
        0,
    )  # small tensors kept between large ones pin their memory
    for part in data.held_out.parts(1024):
        read = network(to_unit_range(torch.tensor(part, device=device))).argmax(dim=1)
        predicted[start : start + len(part)] = read.cpu().numpy()
        start += len(part)
    known = [np.mean(predicted[data.held_out.labels == label] == label) for label in np.unique(data.held_out.labels)]
    return float(np.mean(known))


def _save(classifier: EvaluationClassifier, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{uuid.uuid4().hex}.partial")
    tensors = {name: torch.tensor(value) for name, value in classifier.weights.items()}
    save_file(tensors, partial, metadata={"accuracy": json.dumps(classifier.accuracy)})
    partial.replace(file)


def _load(file: Path, classes: int, channels: int, role: Role) -> EvaluationClassifier | None:
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            accuracy = json.loads(opened.metadata()["accuracy"])
        weights = {name: value.numpy() for name, value in load_file(file).items()}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None  # a damaged cache costs a training, not a search
    return EvaluationClassifier(classes, channels, weights, accuracy, role)
