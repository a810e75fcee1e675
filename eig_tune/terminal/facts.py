"""The facts of a data set, as a person reads them before anything is trained on it."""

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eig_tune.data import DatasetConfig, ImageData
from eig_tune.data.copies import find_copies
from eig_tune.data.facts import Facts, facts_of
from eig_tune.data.left_out import counted, printable
from eig_tune.data.look import Look

_MOST_NAMED = 10


def print_facts(
    dataset: DatasetConfig, images: ImageData, look: Look, console: Console, more: Mapping[str, str] | None = None
) -> None:
    """How many images there are, how they lie there and are read, their classes, and what may be wrong with them.

    Args:
        dataset: from where they come.
        images: as they were read.
        look: at some of them, as they lie there.
        more: rows below.
    """
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, fact in (*_facts(dataset, images, look), *(more or {}).items()):
        table.add_row(name, Text(fact))
    console.print(table)


def _facts(dataset: DatasetConfig, images: ImageData, look: Look) -> Iterator[tuple[str, str]]:
    facts = facts_of(images)
    yield "data set", f"{dataset.name}{'' if dataset.root is None else f', {printable(str(dataset.root))}'}"
    yield "images", _counts(facts)
    yield "sizes", _sizes(look)
    yield "read as", f"{facts.image_size} × {facts.image_size} {'RGB' if facts.channels == 3 else 'grey'}"
    yield "colours", "yes" if look.coloured else "none"
    yield "classes", _classes(facts)
    if facts.classes:
        yield "imbalance", _imbalance(facts)
    yield "exact copies", _copies(images)
    if images.left_out:
        yield "left out", counted(images.left_out)


def _counts(facts: Facts) -> str:
    unused = facts.trainable - facts.training
    left = f", {unused:,} left out by the imbalance" if unused else ""
    return f"{facts.trainable + facts.held_out:,}: {facts.training:,} to train on, {facts.held_out:,} held out{left}"


def _sizes(look: Look) -> str:
    (narrow, low), (wide, high) = look.smallest, look.largest
    if look.smallest == look.largest:
        return f"{narrow} × {low}"
    oblong = sum(width != height for width, height in look.sizes)
    cut = f"; of {oblong} of the {len(look.sizes)} looked at, the middle square is taken" if oblong else ""
    return f"{narrow} × {low} to {wide} × {high}; the shorter side of half of them is {look.side} or more{cut}"


def _classes(facts: Facts) -> str:
    if not facts.classes:
        return "no labels"
    by_size = sorted(facts.classes, key=lambda each: -each.training - each.held_out)
    each = ", ".join(f"{one.name} {one.training + one.held_out:,}" for one in by_size[:_MOST_NAMED])
    return f"{len(by_size)}: {each}{', …' if len(by_size) > _MOST_NAMED else ''}"


def _imbalance(facts: Facts) -> str:
    counts = [one.training for one in facts.classes]
    ratio = max(counts) / max(1, min(counts))
    if ratio < 1.1:
        return "none: all classes have as many images"
    return f"the largest class has {ratio:.1f} times as many images to train on as the smallest ({min(counts):,})"


def _copies(images: ImageData) -> str:
    copies = find_copies(images)
    if not copies.all:
        return "none"
    which = [f"{copies.held_out:,} held out while their like is trained on"] if copies.held_out else []
    which += [f"{copies.other_label:,} with another label than their like"] if copies.other_label else []
    return f"{copies.all:,} at this size{': ' if which else ''}{', '.join(which)}"
