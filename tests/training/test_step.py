"""The training step: what it launches on the CPU, and its replay as a CUDA graph where there is a GPU."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from eig_tune.data import ImageData, Images
from eig_tune.models import METHODS, register_method
from eig_tune.models.distances import DISTANCES
from eig_tune.models.infogan import InfoGan
from eig_tune.models.networks import NETWORKS
from eig_tune.training.config import TrainConfig
from eig_tune.training.loop import Run, TrialData

CPU, GPU = torch.device("cpu"), torch.device("cuda")
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch sees")

PHOTOMETRIC = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.3, "blur": 0.05, "invert": 0.2}
SWITCHES: list[dict[str, Any]] = [
    *({"method": method} for method in METHODS),
    *({"network": network} for network in NETWORKS),
    *({"distance": distance} for distance in DISTANCES),
    {"straight_through": True, "code_target": "hard"},
    {"prior_update": "posterior"},
    {"prior_update": "posterior", "prior_warmup_steps": 2},
    {"gan_loss": "hinge"},
    *({"network": network, "r1_gamma": 1.0, "precision": "bf16"} for network in NETWORKS),
    {"diff_translation": 0.125, "diff_cutout": 0.5, "diff_colour": 1.0, "r1_gamma": 1.0},
    {"category_loss_trains_front_end": False},
    {"shared_batch_statistics": True, "precision": "fp32"},
    {"precision": "bf16", "flip": True, **PHOTOMETRIC},
]
each_switch = pytest.mark.parametrize("params", SWITCHES, ids=lambda params: "-".join(map(str, params.values()))[:40])
# Kernels that wait for the device: a number read back, a count of elements, a tensor made from Python's numbers.
READ_BACK = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::lift_fresh"}


@pytest.fixture(scope="module")
def coloured(few_digits: ImageData) -> TrialData:
    """Digits of three channels, so that changes of colour do something."""

    def of(images: Images) -> Images:
        return Images(np.repeat(images.pixels, 3, axis=1), images.labels)

    training, trainable, held_out = map(of, (few_digits.training, few_digits.trainable, few_digits.held_out))
    return TrialData(replace(few_digits, training=training, trainable=trainable, held_out=held_out), classifier=None)


class _Launched(TorchDispatchMode):
    """Notes the name of every operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch's own
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func._schema.name)
        return func(*args, **(kwargs or {}))


def _launched(run: Run) -> list[str]:
    """What the training step of a run launches, without the reading of its losses at the end."""
    launched = _Launched()
    with launched:
        run._train_step()
    return launched.names


@each_switch
def test_every_step_launches_the_same_and_reads_nothing_back(
    params: dict[str, Any], coloured: TrialData, tiny_config: TrainConfig
) -> None:
    run = Run(tiny_config.with_params(params), coloured, CPU)
    run.advance(2)  # in the first one, optimisers make their state
    second, third = _launched(run), _launched(run)
    assert len(second) > 50
    assert second == third
    assert not READ_BACK & set(second)


class ReadsBack(InfoGan):
    """Decides in Python by a number from the device, as no captured step may."""

    def train_step(self, real_NCHW: Tensor, augmented_NCHW: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        scale = 1.0 if real_NCHW.mean().item() > -2 else 0.0
        return super().train_step(scale * real_NCHW, augmented_NCHW, generator)


@pytest.fixture
def own_methods() -> Iterator[None]:
    """Elastic-InfoGAN again: never captured, and as one that wrongly says it can be."""
    elastic = METHODS["elastic-infogan"]
    register_method(elastic.with_model("uncaptured", InfoGan))
    register_method(elastic.with_model("reads-back", ReadsBack, capturable=True))
    yield
    del METHODS["uncaptured"], METHODS["reads-back"]


def test_a_step_that_reads_back_is_seen_by_this_test(
    own_methods: None, coloured: TrialData, tiny_config: TrainConfig
) -> None:
    run = Run(tiny_config.with_params({"method": "reads-back"}), coloured, CPU)
    assert READ_BACK & set(_launched(run))


def test_an_own_model_is_captured_only_where_its_author_says_so(own_methods: None) -> None:
    assert METHODS["elastic-infogan"].model.capturable
    assert not METHODS["uncaptured"].model.capturable
    assert METHODS["reads-back"].model.capturable


@on_gpu
@each_switch
def test_every_setting_is_captured(
    params: dict[str, Any], coloured: TrialData, tiny_config: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tiny_config.with_params(params), coloured, GPU)
    with caplog.at_level(logging.WARNING):
        losses = run.advance(8)
    assert not caplog.records
    assert all(np.isfinite(loss) for loss in losses.values())


def _after(config: TrainConfig, data: TrialData, steps: int = 12) -> tuple[Mapping[str, Tensor], dict[str, float]]:
    run = Run(config, data, GPU)
    losses = run.advance(steps)
    return run.tensors(), losses


def _assert_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    different = [name for name, tensor in first.items() if not torch.equal(tensor, second[name])]
    assert not different


@on_gpu
@pytest.mark.parametrize("network", NETWORKS)
def test_a_replayed_run_equals_an_ordinary_one_bit_for_bit(
    network: str, own_methods: None, coloured: TrialData, tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    config = tiny_config.with_params({"width": 16, "network": network})
    replayed, losses = _after(config, coloured)
    ordinary, same_losses = _after(config.with_params({"method": "uncaptured"}), coloured)
    _assert_same(replayed, ordinary)
    assert losses == same_losses


@on_gpu
def test_a_run_after_another_in_one_process_equals_the_run_alone(
    coloured: TrialData, tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    first, second = (tiny_config.with_params({"lambda_1": weight}) for weight in (1.0, 3.0))
    alone, _ = _after(second, coloured)
    _after(first, coloured)
    again, _ = _after(second, coloured)
    _assert_same(alone, again)


@on_gpu
@pytest.mark.parametrize("network", NETWORKS)
def test_a_resumed_run_equals_the_whole_one(
    network: str, coloured: TrialData, tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eig_tune.training import checkpoint

    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    config = tiny_config.with_params({"steps": 12, "width": 16, "network": network})
    whole, _ = _after(config, coloured)
    begun = Run(config, coloured, GPU)
    begun.advance(7)
    checkpoint.save(tmp_path, begun.tensors(), begun.record())
    resumed = Run(config, coloured, GPU)
    resumed.restore(tmp_path)
    resumed.advance(5)
    _assert_same(whole, resumed.tensors())


@on_gpu
def test_a_step_that_cannot_be_captured_runs_as_it_is_and_says_so(
    own_methods: None, coloured: TrialData, tiny_config: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        tensors, losses = _after(tiny_config.with_params({"method": "reads-back"}), coloured)
    assert "cannot be captured" in caplog.text
    ordinary, same_losses = _after(tiny_config.with_params({"method": "uncaptured"}), coloured)
    assert losses.keys() == same_losses.keys()
    assert torch.equal(tensors["random_state"], ordinary["random_state"])


@on_gpu
def test_an_end_of_memory_in_the_capture_is_one(coloured: TrialData, tiny_config: TrainConfig) -> None:
    run = Run(tiny_config.with_params({"width": 64, "batch_size": 256}), coloured, GPU)
    run.advance(3)  # ordinary ones
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 8 * 2**20) / total)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            run.advance(1)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    again = Run(tiny_config, coloured, GPU)  # the process is none the worse for it
    assert all(np.isfinite(loss) for loss in again.advance(6).values())
