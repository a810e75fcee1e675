"""Batches: the same whether the images lie in memory or in a file, on the device or gathered ahead of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from eig_tune.data import DatasetConfig, ImageData, Images, batches, load_images
from eig_tune.data.batches import Ahead, Batches, OnDevice, OnHost, batches_for, batches_of
from eig_tune.training.config import TrainConfig
from eig_tune.training.loop import Run, TrialData

CPU, GPU = torch.device("cpu"), torch.device("cuda")
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch sees")
PIXELS = np.random.default_rng(0).integers(256, size=(300, 3, 8, 8), dtype=np.uint8)
ROWS = np.random.default_rng(1).permutation(300)[:200]


def drawn(found: Batches, steps: range, device: torch.device = CPU) -> list[bytes]:
    """The batches of these steps, as bytes."""
    generator, result = torch.Generator(device).manual_seed(5), []
    for step in steps:
        found.prepare(step)
        result.append(found.draw(16, generator).cpu().numpy().tobytes())
    return result


@pytest.fixture
def mapped(tmp_path: Path) -> Images:
    """The images of ``PIXELS`` in the order of ``ROWS``, in a file whose channels come last."""
    np.save(tmp_path / "x.npy", PIXELS.transpose(0, 2, 3, 1).copy())
    data = load_images(DatasetConfig(name="array-file", root=tmp_path / "x.npy"))
    return replace(data.training, rows=ROWS)


def test_file_rows_and_device_give_the_batches_of_an_array(mapped: Images) -> None:
    plain = Images(PIXELS[ROWS], None)
    expected = drawn(OnHost(plain, CPU), range(20))
    assert len(set(expected)) == 20
    for other in (OnHost(mapped, CPU), OnDevice(plain, CPU), OnDevice(mapped, CPU), OnHost(mapped.sent_whole(), CPU)):
        assert drawn(other, range(20)) == expected
    generator = torch.Generator().manual_seed(5)
    first = torch.tensor(PIXELS[ROWS])[torch.randint(200, (16,), generator=generator)]
    assert expected[0] == first.numpy().tobytes(), "as images on the device were always drawn"


def test_images_are_not_copied_on_the_cpu() -> None:
    found = batches_for(Images(PIXELS, None), 16, 0, CPU)
    assert isinstance(found, OnHost)
    assert found._stored_NCHW.data_ptr() == PIXELS.ctypes.data


@pytest.mark.parametrize("device", [CPU, pytest.param(GPU, marks=on_gpu)])
def test_batches_gathered_ahead_follow_from_seed_and_step(mapped: Images, device: torch.device) -> None:
    whole = drawn(Ahead(mapped, 16, 3, device), range(30), device)
    assert len(set(whole)) == 30
    assert drawn(Ahead(mapped, 16, 3, device), range(17, 30), device) == whole[17:], "a resumed run goes on with them"
    assert drawn(Ahead(Images(PIXELS[ROWS], None), 16, 3, device), range(30), device) == whole
    assert drawn(Ahead(mapped, 16, 4, device), range(30), device) != whole


def test_batches_gathered_ahead_take_every_image_about_equally_often(mapped: Images) -> None:
    numbered = Images(np.arange(200, dtype=np.uint8)[:, None, None, None].repeat(64, 1).reshape(200, 1, 8, 8), None)
    found = Ahead(numbered, 100, 0, CPU)
    counts = np.zeros(200)
    for step in range(400):
        found.prepare(step)
        counts += np.bincount(found.draw(100, torch.Generator())[:, 0, 0, 0].numpy(), minlength=200)
    assert abs(counts - 200).max() < 6 * np.sqrt(200)


@on_gpu
def test_only_images_that_do_not_fit_are_gathered_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Images(PIXELS, None)
    assert isinstance(batches_for(images, 16, 0, GPU), OnDevice)
    monkeypatch.setattr(batches, "_SHARE_OF_DEVICE", 0.0)
    assert isinstance(batches_for(images, 16, 0, GPU), Ahead)
    assert isinstance(batches_of(images, GPU), OnHost)


@on_gpu
def test_run_whose_images_do_not_fit_learns_from_other_batches_in_every_step(
    few_digits: ImageData, tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its step is a CUDA graph, which reads the batch at one place in memory."""
    monkeypatch.setattr(batches, "_SHARE_OF_DEVICE", 0.0)
    seen = []
    run = Run(tiny_config.with_params({"steps": 30}), TrialData(few_digits, None), GPU)
    for _ in range(12):
        run.advance(1)
        seen.append(run._batches.draw(8, run._random).cpu().numpy().tobytes())
    assert len(set(seen)) == 12


def test_run_on_a_mapped_file_is_the_one_on_the_same_array(
    tmp_path: Path, few_digits: ImageData, tiny_config: TrainConfig
) -> None:
    np.save(tmp_path / "x.npy", few_digits.training.pixels)
    stored = load_images(DatasetConfig(name="array-file", root=tmp_path / "x.npy")).training.stored
    mapped = Images(stored, few_digits.training.labels)
    assert not isinstance(mapped.stored, np.ndarray)
    runs = [
        Run(tiny_config, TrialData(replace(few_digits, training=images), None), CPU)
        for images in (few_digits.training, mapped)
    ]
    losses = [run.advance(5) for run in runs]
    assert losses[0] == losses[1]
    assert runs[0].evaluate().metrics == runs[1].evaluate().metrics
