"""Drawing batches of images: from the device's memory, or from the host's where they do not fit or need not be copied.

Shape suffixes: N images of a batch, C channels, H and W the side S.
"""

import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from eig_tune.data.images import Images

_SHARE_OF_DEVICE = 0.25  # of its memory, which the images may take; the rest is for the networks, and other trials


class Batches(Protocol):
    """Batches of one set of images, on one device."""

    def prepare(self, step: int) -> None:
        """Get what ``draw`` will give in this step; called before each step, outside of what a CUDA graph records."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """A random batch, uint8 [N, C, S, S], drawn with replacement; ``generator`` is on the device."""


def to_unit_range(pixels: Tensor) -> Tensor:
    """uint8 images as floats in [-1, 1]."""
    return pixels.float() / 127.5 - 1


def batches_of(images: Images, device: torch.device) -> "Indexed":
    """Images by their numbers: copied to a GPU that has room for them, else read where they lie."""
    if device.type == "cuda" and images.nbytes <= _SHARE_OF_DEVICE * _memory(device):
        return OnDevice(images, device)
    return OnHost(images, device)


def batches_for(images: Images, count: int, seed: int, device: torch.device) -> Batches:
    """Random batches of ``count`` images for training.

    Args:
        seed: of the batches that are gathered ahead, which are drawn from no generator.
    """
    found = batches_of(images, device)
    return Ahead(images, count, seed, device) if device.type == "cuda" and isinstance(found, OnHost) else found


def _memory(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).total_memory)


class Indexed:
    """Batches whose images are drawn when the step is made."""

    def __init__(self, count: int, device: torch.device) -> None:
        self._count = count
        self._device = device

    def prepare(self, step: int) -> None:
        """Nothing: a batch is drawn in the step."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """A random batch, uint8 [N, C, S, S]."""
        return self.at(torch.randint(self._count, (count,), generator=generator, device=self._device))

    def at(self, chosen_N: Tensor) -> Tensor:
        """The images of these numbers, uint8 [N, C, S, S]."""
        raise NotImplementedError


class OnDevice(Indexed):
    """All images lie in the device's memory."""

    def __init__(self, images: Images, device: torch.device) -> None:
        super().__init__(len(images), device)
        self._pixels_NCHW = torch.empty(images.shape, dtype=torch.uint8, device=device)
        start = 0
        for part in images.parts():
            self._pixels_NCHW[start : start + len(part)] = torch.tensor(part, device=device)
            start += len(part)

    def at(self, chosen_N: Tensor) -> Tensor:
        """The images of these numbers, uint8 [N, C, S, S]."""
        return self._pixels_NCHW[chosen_N]


class OnHost(Indexed):
    """The images stay where they lie, in this process's memory, in Ray's object store or in a mapped file."""

    def __init__(self, images: Images, device: torch.device) -> None:
        super().__init__(len(images), device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # PyTorch has no tensors that are read only
            self._stored_NCHW = torch.from_numpy(images.array())
        self._rows = None if images.rows is None else torch.tensor(images.rows)

    def at(self, chosen_N: Tensor) -> Tensor:
        """The images of these numbers, uint8 [N, C, S, S]."""
        chosen = chosen_N.cpu() if self._rows is None else self._rows[chosen_N.cpu()]
        return self._stored_NCHW[chosen].contiguous().to(self._device)


class Ahead:
    """Batches of images that do not fit the device's memory: while a step is made, a thread gathers the next one in
    pinned memory.

    The numbers of a step's images follow from the seed and the step alone, so that a resumed run goes on with the same
    ones, whatever was gathered before it was stopped.
    """

    def __init__(self, images: Images, count: int, seed: int, device: torch.device) -> None:
        shape = (count, *images.shape[1:])
        self._images = images
        self._seed = seed
        self._cuda = device.type == "cuda"
        self._batch_NCHW = torch.empty(shape, dtype=torch.uint8, device=device)  # a CUDA graph reads it at one place
        self._buffers = [torch.empty(shape, dtype=torch.uint8, pin_memory=self._cuda) for _ in range(2)]
        self._copied = [torch.cuda.Event() for _ in range(2)] if self._cuda else []
        self._thread = ThreadPoolExecutor(1)
        self._next: tuple[int, Future[int]] | None = None

    def prepare(self, step: int) -> None:
        """Copy the batch of this step to the device, and begin to gather that of the next one."""
        gathered = self._next[1] if self._next is not None and self._next[0] == step else self._begin(step)
        buffer = gathered.result()
        self._batch_NCHW.copy_(self._buffers[buffer], non_blocking=True)
        if self._cuda:
            self._copied[buffer].record()
        self._next = step + 1, self._begin(step + 1)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """The batch that was prepared; ``generator`` is left as it is."""
        assert count == len(self._batch_NCHW), "a run has one size of batch"
        return self._batch_NCHW

    def _begin(self, step: int) -> "Future[int]":
        return self._thread.submit(_gather, self._images, self._buffers, self._copied, self._seed, step)


def _gather(images: Images, buffers: list[Tensor], copied: "list[torch.cuda.Event]", seed: int, step: int) -> int:
    """Fill the buffer of a step, when what was in it has reached the device; the buffer's number."""
    number = step % len(buffers)
    if copied:
        copied[number].synchronize()
    random = np.random.Generator(np.random.Philox(key=[seed, step]))
    chosen = random.integers(len(images), size=len(buffers[number]))
    buffers[number].copy_(torch.from_numpy(images.read(chosen)))
    return number
