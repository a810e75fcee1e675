"""The model card of a bundle."""

from collections.abc import Mapping, Sequence
from typing import Any

from eig_tune.models import METHODS
from eig_tune.models.networks import NETWORKS
from eig_tune.reports.categories import (
    CATEGORIES_JSON,
    CATEGORIES_PICTURE,
    COLUMNS,
    NOT_KNOWN,
    Category,
    empty_in_words,
    table_of,
    what_was_checked,
)
from eig_tune.reports.disagreement import disagreement
from eig_tune.reports.groups import Groups, markdown
from eig_tune.reports.phrases import table_cell, with_spread
from eig_tune.training.checkpoint import RunRecord

_CARD = """# {method}, {categories} categories

{citation}. {networks}Trained for {steps:,} steps on {classes}{size}×{size} images with {channels} channel(s);
found by eig-tune {found}.{seed}

## What it is for

`encoder` puts an image into one of {categories} categories, which were discovered in the images alone; `generator`
draws images of a category. Categories have numbers, not names: {look}
Good for sorting images like those it was trained on, and for looking at what they consist of.

## What it is not for

Decisions about people, or images of another kind: it gives every image a category, however unlike its training images.
{split}
Learned shares are estimates; {error}

{page}
{groups}## How good it is

| metric | this model | found | confirmed |
|---|---|---|---|
{metrics}

{judged}
{warnings}
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
# What is said where there are true classes to compare with, and where there are none.
_WITH_LABELS = {
    "look": "the table below shows which class a category is.",
    "split": "Categories may split a class or join two.",
    "error": "their error is given below.",
    "judged": "Found: by the search's evaluation classifier, on the trial's own seed, or the mean of that and a\n"
    "second one. Confirmed: the same parameters on fresh seeds, by another classifier, mean ± standard deviation.\n"
    "This model, at the end of its training: by the classifier of the search where its seed is the trial's own, by\n"
    "the other one where its seed is a fresh one.",
}
_WITHOUT_LABELS = {
    "look": "the picture below shows what each of them holds.",
    "split": "A category may hold a part of what you would call one kind, or several kinds.",
    "error": "how far they are from what Q finds in the images is given below.",
    "judged": "Found: on the trial's own seed, or the mean of that and a second one. Confirmed: the same parameters\n"
    "on fresh seeds, mean ± standard deviation. This model: at the end of its training.",
}

_GROUPS = """## Its groups

Categories that look alike are put together into {count} groups, by how often Q takes one for another. The programs give
probabilities of categories; those of a group are their sums. `config.json` has the group of each category in `groups`,
and `eig-tune predict` writes it beside the category. Shares are the learned prior, added up.

{table}

"""


def model_card(
    record: RunRecord,
    noise_dim: int,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    pictures: Sequence[str],
    categories: Sequence[Category] = (),
    groups: Groups | None = None,
) -> str:
    """The card as Markdown.

    Args:
        record: the run that the model comes from.
        noise_dim: how many noise numbers the generator takes.
        metrics: what the model has reached, found and confirmed.
        provenance: where the model came from.
        pictures: files of the bundle.
        categories: what each of them is; none of a model of an earlier version.
        groups: how they are put together; None where they are not.
    """
    config, labelled = record.config, bool(record.classes)
    return _CARD.format(
        method=config.method,
        citation=METHODS[config.method].citation,
        categories=config.model.categories,
        networks="" if record.network is None else f"Networks: {record.network}, {NETWORKS[record.network].source}. ",
        steps=record.step,
        classes=f"{len(record.classes)} classes of " if labelled else "",
        size=record.image_size,
        channels=record.channels,
        noise_dim=noise_dim,
        found=f"(search {provenance.get('search', '?')}, trial {provenance.get('trial', '?')})",
        page=_page(categories, _of_model(metrics), labelled=labelled) if categories else "",
        groups="" if groups is None else _GROUPS.format(count=len(groups.shares), table=markdown(groups)),
        seed=_seed(provenance),
        metrics="\n".join(_metric_rows(metrics)),
        warnings="".join(f"\n**Warning**: {sign}.\n" for sign in _warnings(metrics)),
        pictures="\n\n".join(f"![{picture}]({picture})" for picture in pictures if picture != CATEGORIES_PICTURE),
        **(_WITH_LABELS if labelled else _WITHOUT_LABELS),
    )


def _page(categories: Sequence[Category], metrics: Mapping[str, float], *, labelled: bool) -> str:
    """What each category is, what was checked, and what cannot be known where there are no labels."""
    rows = table_of(categories)
    lines = [[*rows[0]], ["---"] * len(rows[0]), *(map(table_cell, row.values()) for row in rows)]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    parts = [
        "## Its categories",
        f"![generated images, and real ones of which Q is surest and least sure]({CATEGORIES_PICTURE})",
        "\n".join(table),
        f"The same as numbers: `{CATEGORIES_JSON}`. {COLUMNS}.",
        "What was checked:\n\n" + _listed([*filter(None, [empty_in_words(categories)]), *what_was_checked(metrics)]),
    ]
    if not labelled:
        parts.append("What no number here can tell:\n\n" + _listed(NOT_KNOWN))
    return "\n\n".join(parts) + "\n"


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _warnings(metrics: Mapping[str, Any]) -> Sequence[str]:
    return disagreement(metrics["found"], metrics.get("confirmed", {})).signs


def _metric_rows(metrics: Mapping[str, Any]) -> list[str]:
    confirmed, deviations = metrics.get("confirmed", {}), metrics.get("confirmed_deviations", {})
    found, names = metrics["found"], sorted({*_of_model(metrics), *metrics["found"]})
    return [
        f"| {name} | {_number(_of_model(metrics), name)} | {_number(found, name)} | "
        + (with_spread(confirmed[name], deviations.get(name), digits=4) if name in confirmed else "–")
        + " |"
        for name in names
        if not name.endswith("_seconds")
    ]


def _number(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.4f}" if name in metrics else "–"


def _of_model(metrics: Mapping[str, Any]) -> Mapping[str, float]:
    """What this very model has reached; an earlier version wrote that of the trial alone."""
    reached: Mapping[str, float] = metrics.get("model", metrics["found"])
    return reached


def _seed(provenance: Mapping[str, Any]) -> str:
    if "seed" not in provenance:
        return ""
    return f" Of the models of these parameters it is that of {provenance['seed']}: {provenance['seed_chosen']}."
