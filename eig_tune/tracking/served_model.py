"""The program that MLflow runs to load or serve a registered model: the bundle's encoder, by ONNX Runtime alone.

MLflow copies this file into the model and runs the copy, also where eig_tune is not installed. So it imports nothing
of eig_tune, and eig_tune never imports it. MLflow's signature takes any array, because it would cast what JSON has to
the type of an array, and 0.37 to 0; what the images are is checked here.

Shape suffixes: N images, K categories, C channels, H and W the side.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

_BATCH = 256


class Encoder(PythonModel):  # type: ignore[misc]  # MLflow has no types
    """Q(c|x) of a bundle."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the encoder among the model's artifacts."""
        program = Path(context.artifacts["bundle"]) / "encoder.onnx"
        self._session = onnxruntime.InferenceSession(program, providers=["CPUExecutionProvider"])
        self._shape = tuple(self._session.get_inputs()[0].shape[1:])

    def predict(self, model_input: np.ndarray, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row for each image: category, its probability, entropy of Q(c|x) in nats.

        Args:
            model_input: images [N, C, S, S], whole numbers from 0 to 255 of any type.
            params: not used; MLflow passes them.

        Raises:
            MlflowException: they are something else; a server answers with 400.
        """
        images_NCHW = self._checked(model_input)
        starts = range(0, max(len(images_NCHW), 1), _BATCH)
        q_NK = np.concatenate([self._probabilities(images_NCHW[start : start + _BATCH]) for start in starts])
        terms_NK = q_NK * np.log(q_NK, where=q_NK > 0, out=np.zeros_like(q_NK))
        return pd.DataFrame(
            {"category": q_NK.argmax(axis=1), "probability": q_NK.max(axis=1), "entropy": -terms_NK.sum(axis=1)}
        )

    def _checked(self, given: np.ndarray) -> NDArray[np.float32]:
        expected = f"images are [N, {', '.join(map(str, self._shape))}], whole numbers from 0 to 255"
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise _refusal("images of different sizes, or values that are no numbers", expected) from error
        if not values.size and values.shape[1:] in ((), self._shape):
            return np.empty((0, *self._shape), dtype=np.float32)
        if values.shape[1:] != self._shape:
            raise _refusal(f"an array [{', '.join(map(str, values.shape))}]", expected)
        low, high = values.min(), values.max()
        if not (low >= 0 and high <= 255):
            raise _refusal(f"values from {low:g} to {high:g}", expected)
        if (values != np.round(values)).any() or high == 1:  # black and white as 0 and 1 are a scale of their own, too
            raise _refusal(f"values from {low:g} to {high:g}", f"{expected}; multiply by 255 what is from 0 to 1")
        return values.astype(np.float32)

    def _probabilities(self, images_NCHW: NDArray[np.float32]) -> NDArray[np.float64]:
        (q_NK,) = self._session.run(None, {"images": images_NCHW / np.float32(127.5) - 1})
        return np.asarray(q_NK, dtype=np.float64)


def _refusal(given: str, expected: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(f"got {given}; {expected}")


set_model(Encoder())
