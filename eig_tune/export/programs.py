"""The two programs of a bundle: encoder and generator, for PyTorch and for ONNX."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eig_tune.errors import EigTuneError
from eig_tune.models.base import Model

LARGEST_DIFFERENCE = 1e-4
ENCODER, GENERATOR = "encoder", "generator"
_CHECKED = 256
_OPSET = 18


def write_programs(model: Model, image_size: int, channels: int, directory: Path) -> dict[str, float]:
    """Write encoder and generator as ``.pt2`` (torch.export) and ``.onnx``, both for any number of images.

    Returns:
        The largest difference of every file's outputs to the model's own, on 256 inputs.

    Raises:
        EigTuneError: a file's outputs differ by more than 1e-4.
    """
    random = torch.Generator().manual_seed(0)
    images = torch.rand(_CHECKED, channels, image_size, image_size, generator=random) * 2 - 1
    noise = torch.randn(_CHECKED, model.noise_dim, generator=random)
    categories = torch.randint(model.categories, (_CHECKED,), generator=random)
    differences: dict[str, float] = {}
    for name, program, inputs in (
        (ENCODER, model.encoder_program(), (images,)),
        (GENERATOR, model.generator_program(), (noise, categories)),
    ):
        differences |= _write_program(name, program.eval(), inputs, directory)
    wrong = [f"{name} by {value:.2g}" for name, value in differences.items() if not value <= LARGEST_DIFFERENCE]
    if wrong:
        raise EigTuneError(
            f"the exported programs differ from the model's own: {', '.join(wrong)}; nothing was written"
        )
    return differences


def _write_program(name: str, program: nn.Module, inputs: tuple[Tensor, ...], directory: Path) -> dict[str, float]:
    for parameter in program.parameters():
        parameter.requires_grad_(False)
    expected = program(*inputs).numpy()
    few = tuple(tensor[:2] for tensor in inputs)
    dynamic = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    torch_file, onnx_file = directory / f"{name}.pt2", directory / f"{name}.onnx"
    with _in_silence():
        exported = torch.export.export(program, few, dynamic_shapes=dynamic)
        torch.export.save(exported, torch_file)
        onnx_program = torch.onnx.export(exported, dynamo=True, opset_version=_OPSET, verbose=False)
        assert onnx_program is not None
        onnx_program.save(onnx_file, external_data=False)
        by_torch = torch.export.load(torch_file).module()(*inputs).numpy()
    by_onnx = _run_onnx(onnx_file, inputs)
    return {
        file.name: float(np.abs(found - expected).max())
        for file, found in ((torch_file, by_torch), (onnx_file, by_onnx))
    }


def _run_onnx(file: Path, inputs: tuple[Tensor, ...]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    (found,) = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
    return np.asarray(found, dtype=np.float32)


@contextlib.contextmanager
def _in_silence() -> Iterator[None]:
    """Suppress the exporters' warnings and prints, which concern nothing that a user has done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
