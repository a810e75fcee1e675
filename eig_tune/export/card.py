"""The model card of a bundle."""

from collections.abc import Mapping, Sequence
from typing import Any

from eig_tune.models import METHODS
from eig_tune.training.checkpoint import RunRecord

_CARD = """# {method}, {categories} categories

{citation}. Trained for {steps:,} steps on {count_of_classes} classes of {size}×{size} images with {channels}
channel(s); found by eig-tune {found}.

## What it is for

`encoder` puts an image into one of {categories} categories, which were discovered without labels; `generator` draws
images of a category. Categories have numbers, not names: the table below shows which class a category is. Good for
sorting images like those it was trained on, and for looking at what they consist of.

## What it is not for

Decisions about people, or images of another kind: it gives every image a category, however unlike its training images.
Categories may split a class or join two. Learned shares are estimates; their error is given below.

## How good it is

| metric | found | confirmed |
|---|---|---|
{metrics}

Found: at the end of its training, by the search's evaluation classifier. Confirmed: the same parameters on fresh
seeds, by another classifier, mean ± standard deviation.

{pictures}

## How to use it

- `encoder.pt2`, `encoder.onnx`: images float32 [N, {channels}, {size}, {size}] in [-1, 1], which is
  `pixels / 127.5 - 1` of 8-bit pixels, to probabilities [N, {categories}]; the programs do not check their inputs
- `generator.pt2`, `generator.onnx`: noise float32 [N, {noise_dim}] (standard normal) and category int64 [N] to images
- `weights.safetensors`: every weight by name, the prior's too

    torch.export.load("encoder.pt2").module()(images)
    onnxruntime.InferenceSession("encoder.onnx").run(None, {{"images": images}})
    eig-tune predict . FOLDER_OF_IMAGES --out categories.csv
    eig-tune sample . --out samples.png

`config.json` has the whole configuration and where the model came from, `sha256.json` a sum for every file.
"""


def model_card(
    record: RunRecord,
    noise_dim: int,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    pictures: Sequence[str],
) -> str:
    """The card as Markdown."""
    config = record.config
    return _CARD.format(
        method=config.method,
        citation=METHODS[config.method].citation,
        categories=config.model.categories,
        steps=record.step,
        count_of_classes=len(record.classes) or "unknown",
        size=record.image_size,
        channels=record.channels,
        noise_dim=noise_dim,
        found=f"(search {provenance.get('search', '?')}, trial {provenance.get('trial', '?')})",
        metrics="\n".join(_metric_rows(metrics)),
        pictures="\n\n".join(f"![{picture}]({picture})" for picture in pictures),
    )


def _metric_rows(metrics: Mapping[str, Any]) -> list[str]:
    confirmed, deviations = metrics.get("confirmed", {}), metrics.get("confirmed_deviations", {})
    return [
        f"| {name} | {value:.4f} | "
        + (f"{confirmed[name]:.4f} ± {deviations.get(name, 0.0):.4f}" if name in confirmed else "–")
        + " |"
        for name, value in sorted(metrics["found"].items())
        if not name.endswith("_seconds")
    ]
