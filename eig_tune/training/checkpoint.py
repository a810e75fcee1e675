"""Checkpoints: one safetensors file for every tensor, one JSON file for the rest. No pickle."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from eig_tune.errors import CheckpointError, StorageError, one_line
from eig_tune.models import METHODS, USES
from eig_tune.models.networks import AUTO, network_for
from eig_tune.training.config import TrainConfig, with_named_networks

TENSORS_FILE = "state.safetensors"
RUN_FILE = "run.json"
_OPTIMIZER, _AVERAGE = "optimizer.", "average."


@dataclass(frozen=True)
class RunRecord:
    """What a checkpoint says about itself: the run, the step, and the images it was trained on.

    ``groups`` is of a bundle whose categories were put together: the group of each category; empty otherwise.
    """

    config: TrainConfig
    step: int
    image_size: int
    channels: int
    classes: tuple[str, ...]
    groups: tuple[int, ...] = ()

    @property
    def network(self) -> str | None:
        """The networks that its model has, by their row; None where the model has others."""
        if not USES["network"].holds(METHODS[self.config.method], {}):
            return None
        return network_for(self.config.model.network, self.image_size).name


def save(directory: Path, tensors: Mapping[str, Tensor], record: RunRecord) -> None:
    """Write ``tensors`` and the record into ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, directory / TENSORS_FILE, metadata={"step": str(record.step)})
    (directory / RUN_FILE).write_text(json.dumps(as_document(record), indent=2))


def as_document(record: RunRecord) -> dict[str, Any]:
    """The record as JSON has it."""
    document = {**vars(record), "config": record.config.model_dump(mode="json")}
    return document if record.groups else {name: value for name, value in document.items() if name != "groups"}


def load(directory: Path, expected: RunRecord) -> tuple[dict[str, Tensor], int]:
    """The tensors and the step of a checkpoint of the run that ``expected`` describes, at any step.

    Raises:
        CheckpointError: missing, damaged, or written by another config.
    """
    record = read_run(directory)
    if _what_must_match(record) != _what_must_match(expected):
        raise CheckpointError(f"{directory}: this checkpoint was written by a run with another configuration")
    return read_tensors(directory), record.step


def read_run(directory: Path) -> RunRecord:
    """What a checkpoint says about itself.

    Raises:
        CheckpointError: it is missing or damaged.
        StorageError: it cannot be read now.
    """
    try:
        with _readable(directory):
            document = json.loads((directory / RUN_FILE).read_text())
    except ValueError as error:
        raise CheckpointError(f"{directory}: not a whole checkpoint ({one_line(error)})") from error
    return parse_run(document, directory)


def parse_run(document: Any, source: Path) -> RunRecord:
    """The record in a JSON document.

    Raises:
        CheckpointError: something in it is missing or wrong.
    """
    try:
        size, channels = int(document["image_size"]), int(document["channels"])
        if not (8 <= size <= 256 and size % 4 == 0 and channels in (1, 3)):
            raise ValueError(f"no model is made for images of {size}×{size} with {channels} channels")
        _check_method(document["config"]["method"], source)
        config = TrainConfig.model_validate(with_named_networks(document["config"]))
        return RunRecord(
            config=config,
            step=int(document["step"]),
            image_size=size,
            channels=channels,
            classes=tuple(map(str, document["classes"])),
            groups=_groups(document.get("groups", []), config.model.categories),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{source}: not a whole checkpoint ({one_line(error)})") from error


def _groups(value: Any, categories: int) -> tuple[int, ...]:
    """The group of each category, counted from 0 without a gap; empty where categories are not put together."""
    if value == []:
        return ()
    if not isinstance(value, list) or len(value) != categories or not all(type(number) is int for number in value):
        raise ValueError("groups: give one whole number a category")
    if set(value) != set(range(max(value) + 1)):
        raise ValueError("groups: they must count from 0 without a gap")
    return tuple(value)


def _check_method(name: Any, source: Path) -> None:
    if isinstance(name, str) and name not in METHODS:
        raise CheckpointError(
            f"{source}: there is no method {one_line(name)!r} here; if it is one of yours, "
            "register it from Python first"
        )


def write_weights(checkpoint: Path, directory: Path) -> None:
    """Copy the weights that are evaluated into ``directory``, without what only training needs: optimisers, random
    state, and the live weights where they are averaged."""
    tensors = read_tensors(checkpoint)
    live = {n: t for n, t in tensors.items() if not n.startswith(_OPTIMIZER) and n != "random_state"}
    save(directory, averages(tensors) or live, read_run(checkpoint))


def read_tensors(directory: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint, on the CPU."""
    return read_tensors_file(directory / TENSORS_FILE, read_run(directory).step)


def read_tensors_file(file: Path, step: int) -> dict[str, Tensor]:
    """Every tensor of a checkpoint's or bundle's file, on the CPU.

    Raises:
        CheckpointError: it is damaged, or was saved at another step.
        StorageError: it cannot be read now.
    """
    try:
        with _readable(file.parent):
            with safe_open(file, framework="pt") as opened:
                saved_at = (opened.metadata() or {}).get("step")
            tensors = load_file(file)
    except SafetensorError as error:
        raise CheckpointError(f"{file.parent}: not a whole checkpoint ({one_line(error)})") from error
    if saved_at != str(step):
        raise CheckpointError(f"{file.parent}: not a whole checkpoint (weights of step {saved_at}, record of {step})")
    return tensors


@contextmanager
def _readable(directory: Path) -> Iterator[None]:
    """A file that is missing makes no whole checkpoint; one that cannot be read now may be read later."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise CheckpointError(f"{directory}: not a whole checkpoint ({one_line(error)})") from error
    except OSError as error:
        raise StorageError(f"{directory}: this checkpoint cannot be read ({error.strerror or error})") from error


def _what_must_match(record: RunRecord) -> RunRecord:
    """Between two parts of a run the budget may be raised, and the batch made smaller when memory does not suffice."""
    free = {"steps": 1, "batch_size": 2, "network": record.network or AUTO}
    return replace(record, config=record.config.with_params(free), step=0)


def collect(modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Weights and optimiser states as one flat dictionary of tensors."""
    weights = _weights(modules)
    states = {
        f"{_OPTIMIZER}{name}.{index}.{key}": value
        for name, optimizer in optimizers.items()
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }
    return weights | states


def collect_averages(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Averaged weights as they stand in a checkpoint, beside the live ones."""
    return {f"{_AVERAGE}{name}": value for name, value in _weights(modules).items()}


def averages(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint, by the names of the live ones; none where it has none."""
    return below(tensors, _AVERAGE)


def _weights(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


def distribute(
    tensors: Mapping[str, Tensor],
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Put the tensors of :func:`collect` back.

    Raises:
        CheckpointError: a tensor is missing or of another shape.
    """
    try:
        for name, module in modules.items():
            state = below(tensors, f"{name}.")
            if state or any(True for _ in module.parameters()):  # earlier bundles lack what has no weights
                module.load_state_dict(state)
        for name, optimizer in optimizers.items():
            document = optimizer.state_dict()
            document["state"] = _nested(below(tensors, f"{_OPTIMIZER}{name}."))
            _check_moments(optimizer, document["state"])
            optimizer.load_state_dict(document)
    except (RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f"the checkpoint does not fit this model: {one_line(error)}") from error


def _check_moments(optimizer: torch.optim.Optimizer, states: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Adam would take a missing moment for a new start, and a misshapen one only fails at the next step."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters):
        state = states[index]
        shapes = {"step": torch.Size([]), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
        if {key: value.shape for key, value in state.items()} != shapes:
            raise ValueError(f"the optimiser's state of parameter {index} has other shapes")


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _nested(flat: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = tensor
    return states
