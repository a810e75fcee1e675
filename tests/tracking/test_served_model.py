"""A registered model predicts for images like those it was trained on, and refuses everything else with a reason."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from eig_tune.tracking import local_uri, open_store
from eig_tune.tracking.registry import add_version

SHAPE = (1, 8, 8)
IMAGES = np.random.default_rng(0).integers(256, size=(300, *SHAPE), dtype=np.uint8)


def write_encoder(file: Path) -> np.ndarray:
    """The softmax of a linear layer without bias; its weights [64, 3]."""
    weights = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), file)
    return weights


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, np.ndarray]:
    """A registered model, loaded, and the weights of its encoder."""
    import mlflow.pyfunc

    home = tmp_path_factory.mktemp("home")
    (home / "bundle").mkdir()
    weights = write_encoder(home / "bundle" / "encoder.onnx")
    store = open_store(local_uri(home), "mine", home)
    run_id = store.client.create_run(store.experiment_id).info.run_id
    version = add_version(store, "mine", run_id, home / "bundle", IMAGES[:1], {})
    return mlflow.pyfunc.load_model(version.source), weights


@pytest.mark.parametrize("kind", ["uint8", "int64", "float32", "float64", "object"])
def test_whole_numbers_of_any_type_are_images(encoder: tuple[Any, np.ndarray], kind: str) -> None:
    model, weights = encoder
    found = model.predict(IMAGES.astype(kind))
    expected = ((IMAGES.reshape(300, 64) / 127.5 - 1) @ weights).argmax(axis=1)
    assert found["category"].tolist() == expected.tolist()
    assert len(set(expected)) == 3


@pytest.mark.parametrize("empty", [IMAGES[:0], np.array([])])
def test_empty_input_has_no_rows(encoder: tuple[Any, np.ndarray], empty: np.ndarray) -> None:
    assert list(encoder[0].predict(empty)) == ["category", "probability", "entropy"]
    assert len(encoder[0].predict(empty)) == 0


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES / 255, r"values from 0 to 1; .* multiply by 255"),
        ((IMAGES > 127).astype(np.uint8), r"values from 0 to 1; .* multiply by 255"),
        (IMAGES > 127, r"values from 0 to 1; .* multiply by 255"),
        (IMAGES + 0.5, r"values from 0.5 to 255.5"),
        (IMAGES / 2 + 0.25, r"values from 0.25 to 127.75; .* whole numbers"),
        (IMAGES / 127.5 - 1, r"values from -1 to 1"),
        (IMAGES.astype(int) + 1, r"values from 1 to 256"),
        (np.full((1, *SHAPE), np.nan), r"values from nan to nan"),
        (np.full((1, *SHAPE), np.inf), r"values from inf to inf"),
        (IMAGES.reshape(300, 8, 8, 1), r"an array \[300, 8, 8, 1\]; images are \[N, 1, 8, 8\]"),
        (IMAGES[:, 0], r"an array \[300, 8, 8\]; images are \[N, 1, 8, 8\]"),
        (IMAGES[0], r"an array \[1, 8, 8\]; images are \[N, 1, 8, 8\]"),
        (np.zeros((2, 3, 8, 8)), r"an array \[2, 3, 8, 8\]"),
        (np.zeros((2, 1, 9, 9)), r"an array \[2, 1, 9, 9\]"),
        (np.zeros((0, 1, 9, 9)), r"an array \[0, 1, 9, 9\]"),
        (np.array(["a", "b"]), r"no numbers"),
        (np.array([[[1]], [2]], dtype=object), r"different sizes"),
    ],
)
def test_other_input_is_one_line(encoder: tuple[Any, np.ndarray], images: np.ndarray, message: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match=message) as caught:
        encoder[0].predict(images)
    assert "\n" not in str(caught.value) and re.search("^got .*; images are ", str(caught.value))
