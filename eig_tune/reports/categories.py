"""What a model's categories are: a table of them, what their numbers say, and what no number can say.

It is the page for somebody without labels, in the terminal, in MLflow and on the card of a bundle; where there are
labels, each category has the class that it shows as well.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eig_tune import strict_json
from eig_tune.data.left_out import printable
from eig_tune.evaluation.merging import THRESHOLD
from eig_tune.evaluation.metrics import class_of_category
from eig_tune.evaluation.record import EvaluationRecord

logger = logging.getLogger(__name__)

CATEGORIES_JSON, CATEGORIES_PICTURE = "categories.json", "categories.png"
_MOST_ALIKE, _MOST_EMPTY = 3, 20


@dataclass(frozen=True)
class Category:
    """One category of a model.

    Attributes:
        category: its number.
        prior: its learned share.
        images: share of the training images of which Q is surest that they are of it.
        mean_probability: mean Q(c|x) of it over those images.
        alike: how much other categories look like it, by their numbers, 0..1; those that hardly do are left out.
        shows: the class of most images that are generated from it; empty without labels.
    """

    category: int
    prior: float
    images: float
    mean_probability: float
    alike: Mapping[int, float]
    shows: str = ""


def categories_of(record: EvaluationRecord, classes: Sequence[str]) -> list[Category]:
    """Every category of a model; none where the evaluation is of a version that did not look at them.

    Args:
        record: the evaluation of the model.
        classes: names of the true classes; empty without labels.
    """
    seen = record.categories
    if seen is None:
        return []
    shows = [""] * len(record.prior)
    if record.table is not None:
        shows = [classes[number] for number in class_of_category(record.table)]
    return [
        Category(
            number,
            float(record.prior[number]),
            float(seen.real_share[number]),
            float(seen.mean_probability[number]),
            {
                other: round(float(much), 2)
                for other, much in enumerate(seen.alike[number])
                if other != number and much >= THRESHOLD
            },
            shows[number],
        )
        for number in range(len(record.prior))
    ]


def write_categories(record: EvaluationRecord, classes: Sequence[str], folder: Path) -> None:
    """Write the categories as a table and as a picture into ``folder``; nothing where none were looked at."""
    if record.categories is None:
        return
    document = [asdict(category) for category in categories_of(record, classes)]
    (folder / CATEGORIES_JSON).write_text(strict_json.dumps(document), encoding="utf-8")
    record.categories.picture.save(folder / CATEGORIES_PICTURE)


def read_categories(folder: Path) -> list[Category]:
    """What :func:`write_categories` has written; nothing where it is missing, or with a warning where it is damaged."""
    file = folder / CATEGORIES_JSON
    if not file.is_file():
        return []
    try:
        return [_category(each) for each in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("%s is damaged (%s); the categories are not shown", CATEGORIES_JSON, type(error).__name__)
        return []


def _category(document: Mapping[str, Any]) -> Category:
    return Category(
        int(document["category"]),
        float(document["prior"]),
        float(document["images"]),
        float(document["mean_probability"]),
        {int(other): float(much) for other, much in document["alike"].items()},
        str(document["shows"]),
    )


def has_classes(categories: Iterable[Category]) -> bool:
    """Whether there are labels, by which it is known what classes the categories show."""
    return any(category.shows for category in categories)


def table_of(categories: Sequence[Category]) -> list[dict[str, str]]:
    """A row of texts for each category; without labels there is no column ``shows``."""
    labelled = has_classes(categories)
    return [
        {
            "category": str(category.category),
            **({"shows": printable(category.shows)} if labelled else {}),
            "prior": f"{category.prior:.1%}",
            "images": f"{category.images:.1%}",
            "mean Q": f"{category.mean_probability:.2f}",
            "looks like": _alike_in_words(category.alike),
        }
        for category in categories
    ]


def _alike_in_words(alike: Mapping[int, float]) -> str:
    """The categories that look most like one."""
    most = sorted(alike.items(), key=lambda pair: -pair[1])
    more = ", …" if len(most) > _MOST_ALIKE else ""
    return ", ".join(f"{other} ({much:.2f})" for other, much in most[:_MOST_ALIKE]) + more or "–"


def empty_in_words(categories: Sequence[Category]) -> str:
    """Which categories Q puts no image into; empty where there is none."""
    empty = [str(category.category) for category in categories if category.images == 0]
    named = ", ".join(empty[:_MOST_EMPTY]) + (", …" if len(empty) > _MOST_EMPTY else "")
    return f"Q puts no image into {len(empty)} of the {len(categories)} categories: {named}." if empty else ""


COLUMNS = (
    "prior: the learned share; images: the share of the training images that Q puts there; mean Q: how sure it is of "
    "them; looks like: categories that Q confuses with it, where 1 is as readily as with itself"
)


def what_was_checked(metrics: Mapping[str, float]) -> list[str]:
    """What the metrics that need no labels say of the model, a sentence each, as far as they are there."""
    sentences = {
        "neighbour_nmi": "How far the generated images of a category look like the real ones that Q puts into it: "
        "neighbour_nmi {:.2f} (0 as by chance, 1 always).",
        "prior_share_gap": "For {:.0%} of the images Q has another category than the learned shares (prior_share_gap).",
        "augment_agreement": "Q leaves {:.0%} of the images in their category when they are transformed "
        "(augment_agreement).",
        "code_recovery": "Q finds the category of {:.0%} of the generated images again (code_recovery).",
    }
    return [sentence.format(metrics[name]) for name, sentence in sentences.items() if name in metrics]


NOT_KNOWN = (
    "Whether a category is one kind of thing as you would sort the images: only looking at them can tell.",
    "Whether the categories follow something else that is stable in the images, such as a camera or the lighting, or "
    "that half of them are inverted: every number is excellent then, too. What `augment` varies hardly "
    "becomes a category.",
    "Whether a kind is missing: a rare one may share a category with another, and a frequent one may have several.",
)
