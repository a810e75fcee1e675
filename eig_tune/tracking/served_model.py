"""What MLflow runs when somebody loads or serves a registered model: the bundle's encoder, by ONNX Runtime alone.

MLflow copies this file into the model and runs the copy, also where eig_tune is not installed. So it imports nothing
of eig_tune, and eig_tune never imports it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
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

    def predict(self, model_input: np.ndarray, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row for each of the images uint8 [N, C, S, S]: category, its probability, entropy of Q(c|x) in nats."""
        starts = range(0, max(len(model_input), 1), _BATCH)
        q_NK = np.concatenate([self._probabilities(model_input[start : start + _BATCH]) for start in starts])
        terms_NK = q_NK * np.log(q_NK, where=q_NK > 0, out=np.zeros_like(q_NK))
        return pd.DataFrame(
            {"category": q_NK.argmax(axis=1), "probability": q_NK.max(axis=1), "entropy": -terms_NK.sum(axis=1)}
        )

    def _probabilities(self, images_NCHW: NDArray[np.uint8]) -> NDArray[np.float64]:
        (q_NK,) = self._session.run(None, {"images": images_NCHW.astype(np.float32) / 127.5 - 1})
        return np.asarray(q_NK, dtype=np.float64)


set_model(Encoder())
