"""One step of training: a batch is drawn, transformed and learned from. On a GPU it is replayed as a CUDA graph.

Shape suffixes: N images of a batch, C channels, H and W the side S.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from eig_tune.data.augment import augment
from eig_tune.data.batches import Batches, to_unit_range
from eig_tune.models.base import Model
from eig_tune.training.config import TrainConfig

_EAGER_STEPS = 3  # before a capture: in these, libraries allocate what they need and choose their algorithms

_log = logging.getLogger(__name__)


class TrainingStep:
    """Draws a batch, trains the model on it and adds its losses up; every random number is of ``generator``.

    Args:
        batches: of the training images, on the model's device.
    """

    def __init__(self, model: Model, batches: Batches, config: TrainConfig, generator: torch.Generator) -> None:
        self._model = model
        self._batches = batches
        self._config = config
        self._random = generator
        self._totals: dict[str, Tensor] = {}

    def __call__(self) -> None:
        """One step."""
        real_NCHW = to_unit_range(self._batches.draw(self._config.train.batch_size, self._random))
        augmented_NCHW = real_NCHW
        if self._model.uses_augmented:
            augmented_NCHW = augment(real_NCHW, self._config.augment, self._random)
        for name, loss in self._model.train_step(real_NCHW, augmented_NCHW, self._random).items():
            if name not in self._totals:
                self._totals[name] = torch.zeros_like(loss)
            self._totals[name].add_(loss)

    def take_mean_losses(self, steps: int) -> dict[str, float]:
        """The mean of every loss over the ``steps`` steps since the last call."""
        means = {name: total.item() / steps for name, total in self._totals.items()}
        for total in self._totals.values():
            total.zero_()
        return means


class CapturedStep:
    """A step that is recorded as a CUDA graph after a few ordinary ones, and replayed from then on.

    A step is some 400 kernels, which the CPU takes longer to launch than the GPU to compute; a replay launches all of
    them at once. Hyperparameters are part of the recording, so that each run makes its own, and nothing of a run before
    it in the same process is left. A step that cannot be captured runs as it is, after a warning.

    Args:
        step: does the same work on the same tensors at every call, and reads nothing back to the CPU.
        generator: where its random numbers are drawn from, on the GPU.
    """

    def __init__(self, step: Callable[[], None], generator: torch.Generator) -> None:
        self._step = step
        self._random = generator
        self._stream = torch.cuda.Stream(generator.device)
        self._eager_steps_left = _EAGER_STEPS
        self._replay: Callable[[], None] | None = None

    def __call__(self) -> None:
        """One step.

        Raises:
            torch.OutOfMemoryError: the recording needs more memory than there is.
        """
        if self._eager_steps_left > 0:
            self._eager_steps_left -= 1
            with self._on_own_stream():
                self._step()
            return
        if self._replay is None:
            self._replay = self._captured()
        self._replay()

    @contextmanager
    def _on_own_stream(self) -> Iterator[None]:
        """A graph is captured, and what it uses first computed, on a stream that is not the default one."""
        usual = torch.cuda.current_stream(self._random.device)
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            yield
        usual.wait_stream(self._stream)

    def _captured(self) -> Callable[[], None]:
        """The replay of the step; the step itself where it cannot be captured."""
        random_state = self._random.get_state()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._random)
        try:
            with (
                self._on_own_stream(),
                torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
            ):
                self._step()
        except RuntimeError as error:
            _raise_if_out_of_memory(error)
            self._forget_capture(random_state)
            _log.warning("this run's steps cannot be captured as a CUDA graph, so that they take longer: %s", error)
            return self._step
        return graph.replay

    def _forget_capture(self, random_state: Tensor) -> None:
        """A generator that was part of a failed capture would refuse to draw: it goes on with a new inner state."""
        anew = torch.Generator(self._random.device)
        anew.set_state(random_state)
        self._random.graphsafe_set_state(anew)


def _raise_if_out_of_memory(error: BaseException | None) -> None:
    """An end of memory makes the capture fail too; which of the two errors comes last differs."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError):
            raise error
        error = error.__context__
