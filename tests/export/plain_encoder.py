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


def convolutions(images: Array) -> Array:
    """`infogan` and `dcgan`: layers and leaky ReLUs in turns, some with batch normalisation between."""
    x, names = images, [f"front_end.layers.{index}" for index in indices("front_end.layers.")]
    for name, following in zip(names, [*names[1:], ""], strict=True):
        if f"{name}.running_mean" in WEIGHTS:
            x = norm(x, name)
        else:
            x = conv(x, name) if WEIGHTS[f"{name}.weight"].ndim == 4 else linear(x, name)
        x = x if f"{following}.running_mean" in WEIGHTS else leaky(x)
    return head(x)


def resnet(images: Array) -> Array:
    """Residual blocks, whose weights are divided by their largest singular values, then sums over positions."""
    x = images
    for index in indices("front_end.blocks."):
        block = f"front_end.blocks.{index}"
        hidden = same_conv(x if index == 0 else np.maximum(x, 0), f"{block}.first")
        hidden = same_conv(np.maximum(hidden, 0), f"{block}.second")
        x = halved(hidden) + same_conv(halved(x), f"{block}.shortcut")
    return head(np.maximum(x, 0).sum(axis=(2, 3)))


def same_conv(x: Array, name: str) -> Array:
    """Stride 1, spectrally normalised; the side stays."""
    weight, left, right = (WEIGHTS[f"{name}.{part}"] for part in ("weight", "norm.left", "norm.right"))
    largest = left @ weight.reshape(len(left), -1) @ right / (np.linalg.norm(left) * np.linalg.norm(right))
    side = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2))
    windows = sliding_window_view(padded, (side, side), axis=(2, 3))
    bias = WEIGHTS[f"{name}.bias"][:, None, None]
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, weight / largest, optimize=True) + bias)


def halved(x: Array) -> Array:
    count, channels, side, _ = x.shape
    return np.asarray(x.reshape(count, channels, side // 2, 2, side // 2, 2).mean(axis=(3, 5)))


def head(x: Array) -> Array:
    x = leaky(norm(linear(x, "category_head.features.0"), "category_head.features.1"))
    return linear(x, "category_head.logits")


def indices(prefix: str) -> list[int]:
    return sorted({int(key.removeprefix(prefix).split(".")[0]) for key in WEIGHTS if key.startswith(prefix)})


def joint_vae(images: Array) -> Array:
    """A layer and a ReLU in turns; the last layer gives mean, log variance and, in the end, ten logits."""
    x, *names = images, *indices("encoder.layers.")
    for index in names:
        name = f"encoder.layers.{index}"
        x = conv(x, name) if WEIGHTS[f"{name}.weight"].ndim == 4 else linear(x, name)
        x = x if index == names[-1] else np.maximum(x, 0)
    return x[:, -10:]


ENCODERS = {"infogan": convolutions, "dcgan": convolutions, "resnet": resnet, "joint-vae": joint_vae}


def probabilities(model: str, images: Array) -> Array:
    logits = ENCODERS[model](images)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))
