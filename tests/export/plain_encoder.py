"""The encoder of the bundle in the current folder, made of its weights by hand: safetensors and NumPy, no more."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from safetensors.numpy import load_file

Array = NDArray[np.float32]
WEIGHTS = load_file("weights.safetensors")


def conv(x: Array, name: str) -> Array:
    """4 × 4, stride 2, padding 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (4, 4), axis=(2, 3))[:, :, ::2, ::2]
    bias = WEIGHTS[f"{name}.bias"][:, None, None]
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, WEIGHTS[f"{name}.weight"], optimize=True) + bias)


def linear(x: Array, name: str) -> Array:
    return np.asarray(x.reshape(len(x), -1) @ WEIGHTS[f"{name}.weight"].T + WEIGHTS[f"{name}.bias"])


def norm(x: Array, name: str) -> Array:
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean, variance, scale, shift = (
        WEIGHTS[f"{name}.{part}"].reshape(shape) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return np.asarray((x - mean) / np.sqrt(variance + 1e-5) * scale + shift)


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x)


def infogan(images: Array) -> Array:
    x = leaky(conv(images, "front_end.layers.0"))
    x = leaky(norm(conv(x, "front_end.layers.2"), "front_end.layers.3"))
    x = leaky(norm(linear(x, "front_end.layers.6"), "front_end.layers.7"))
    x = leaky(norm(linear(x, "category_head.features.0"), "category_head.features.1"))
    return linear(x, "category_head.logits")


def joint_vae(images: Array) -> Array:
    """A layer and a ReLU in turns; the last layer gives mean, log variance and, in the end, ten logits."""
    x, *names = images, *sorted({int(key.split(".")[2]) for key in WEIGHTS if key.startswith("encoder.layers.")})
    for index in names:
        name = f"encoder.layers.{index}"
        x = conv(x, name) if WEIGHTS[f"{name}.weight"].ndim == 4 else linear(x, name)
        x = x if index == names[-1] else np.maximum(x, 0)
    return x[:, -10:]


def probabilities(method: str, images: Array) -> Array:
    logits = {"elastic-infogan": infogan, "joint-vae": joint_vae}[method](images)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))
