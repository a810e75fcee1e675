"""Pictures of what a model has learned.

Shape suffixes: K categories, C classes, N trials, M objectives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eig_tune.evaluation.metrics import class_of_category

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
_MOST_NAMES = 150
_LONGEST_LABEL = 24
_MOST_SLANTED = 20
# Lines and points differ in dash and marker too, so that a picture can be read where it is printed in grey.
_DASHES, _MARKERS = ("-", "--", ":", "-."), ("o", "s", "^", "D", "v", "x", "*")


@dataclass(frozen=True)
class Style:
    """How the lines of one kind of trial are drawn: colour, opacity, and matplotlib's dash and marker."""

    colour: str
    opacity: float
    dash: str
    marker: str


def table_figure(table_KC: Array, classes: Sequence[str]) -> "Figure":
    """Categories × classes as a heat map, categories in the order of their classes."""
    order = np.argsort(class_of_category(table_KC), kind="stable")
    shares = table_KC[order] / np.maximum(table_KC[order].sum(axis=1, keepdims=True), 1)
    figure, axes = _figure(_wide_enough(5.2, len(classes)), _wide_enough(4.6, len(order)))
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="viridis")
    _name_classes(axes, classes)
    if len(order) <= _MOST_NAMES:
        axes.set_yticks(range(len(order)), [str(category) for category in order])
    axes.set_xlabel("class seen by the evaluation classifier")
    axes.set_ylabel("category")
    figure.colorbar(image, ax=axes, label="share of the category's images")
    return figure


def _wide_enough(inches: float, names: int) -> float:
    """Room for so many names beside each other."""
    return max(inches, 1.5 + 0.18 * min(names, _MOST_NAMES))


def prior_figure(table_KC: Array, prior_K: Array, class_distribution_C: Array, classes: Sequence[str]) -> "Figure":
    """The learned prior, carried over to classes, beside the true class distribution."""
    learned_C = np.bincount(class_of_category(table_KC), weights=prior_K, minlength=len(classes)).astype(np.float64)
    figure, axes = _figure(_wide_enough(6.0, len(classes)), 3.6)
    _draw_shares(axes, -0.4, class_distribution_C, "true share", "#bbbbbb")
    _draw_shares(axes, 0.0, learned_C, "prior", "#2a6fbb", hatch="////")
    axes.axhline(1 / len(classes), color="black", linewidth=0.8, linestyle=":", label="uniform")
    _name_classes(axes, classes)
    axes.set_ylabel("probability")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)  # above: bars may be anywhere
    return figure


def _draw_shares(axes: "Axes", left: float, shares_C: Array, label: str, colour: str, hatch: str = "") -> None:
    """One bar of width 0.4 per class, ``left`` of its middle; all of them as one shape, for there may be thousands."""
    edges = np.arange(len(shares_C))[:, None] + (left, left + 0.4)
    heights = np.column_stack([shares_C, np.zeros(len(shares_C))])
    look: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "hatch": hatch}
    axes.stairs(heights.ravel()[:-1], edges.ravel(), fill=True, label=label, **look)


def _name_classes(axes: "Axes", classes: Sequence[str]) -> None:
    """Name the classes on the x axis, every so many of them where they are many. A $ in a name begins no formula."""
    numbers = range(0, len(classes), -(-len(classes) // _MOST_NAMES))
    labels = [_label(number, classes[number]) for number in numbers]
    slant: dict[str, Any] = {"rotation": 45, "rotation_mode": "anchor", "ha": "right"}
    if len(labels) > _MOST_SLANTED:
        slant = {"rotation": 90}
    axes.set_xticks(numbers, labels, parse_math=False, **(slant if max(map(len, labels)) > 2 else {}))


def _label(number: int, name: str) -> str:
    """The name, cut where it is long; the number of a class whose name the font cannot draw."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    glyphs = get_font(findfont(FontProperties()))
    if not all(glyphs.get_char_index(ord(sign)) for sign in name):
        return f"#{number}"
    return name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"


def panels_figure(panels: Sequence[tuple[str, Image.Image]]) -> "Figure":
    """Pictures side by side under their titles."""
    figure = _empty_figure(4.2 * len(panels), 4.8)
    for axes, (title, picture) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    return figure


def methods_figure(names: Sequence[str], columns: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> "Figure":
    """One panel per metric: mean and standard deviation of every method.

    Args:
        columns: metric to means and standard deviations, in the order of ``names``.
    """
    figure = _empty_figure(3.4 * len(columns) + 1.6, 0.42 * len(names) + 1.2)
    positions = np.arange(len(names))
    for axes, (metric, (means, deviations)) in zip(
        np.atleast_1d(figure.subplots(1, len(columns), sharey=True)), columns.items(), strict=True
    ):
        axes.barh(positions, means, xerr=deviations, color="#2a6fbb", ecolor="#333333", capsize=3)
        axes.set_xlabel(metric)
        axes.set_yticks(positions, names)
    figure.axes[0].invert_yaxis()  # of all panels, which share it: the first method on top
    return figure


def learning_figure(curves: Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]]) -> "Figure":
    """One panel per metric, one line per name.

    Args:
        curves: metric to name to (steps, values).
    """
    figure = _empty_figure(4.6 * len(curves), 3.8)
    panels = np.atleast_1d(figure.subplots(1, len(curves)))
    for axes, (metric, lines) in zip(panels, curves.items(), strict=True):
        for (name, (steps, values)), dash, marker in zip(lines.items(), cycle(_DASHES), cycle(_MARKERS), strict=False):
            axes.plot(steps, values, linestyle=dash, marker=marker, markersize=4, label=name)
        axes.set_xlabel("step")
        axes.set_ylabel(metric)
    if any(curves.values()):
        panels[-1].legend(frameon=False, fontsize=8)
    return figure


def rungs_figure(
    curves: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    rungs: Sequence[int],
    styles: Mapping[str, Style],
) -> "Figure":
    """One panel per metric: the learning curves of many trials, the rungs as dotted lines.

    Args:
        curves: metric to kind of trial to (steps, values) of all trials of that kind, a NaN between two of them.
        styles: by kind of trial.
    """
    figure = _empty_figure(3.9 * len(curves), 3.8)
    panels = np.atleast_1d(figure.subplots(1, len(curves)))
    for axes, (metric, lines) in zip(panels, curves.items(), strict=True):
        for kind, (steps, values) in lines.items():
            style, label = styles[kind], kind if steps else None
            look: dict[str, Any] = {"linestyle": style.dash, "marker": style.marker, "markersize": 4}
            axes.plot(steps, values, color=style.colour, alpha=style.opacity, label=label, **look)
        for rung in rungs:
            axes.axvline(rung, color="black", linewidth=0.8, linestyle=":")
        axes.set_xlabel("step")
        axes.set_ylabel(metric)
    panels[-1].legend(frameon=False, fontsize=8)
    return figure


def front_figure(
    points_NM: Array, on_front: NDArray[np.bool_], labels: Sequence[str], names: Sequence[str]
) -> "Figure":
    """Trials in the plane of the first two objectives, the Pareto front joined by a line.

    Args:
        points_NM: the objectives as they are (no sign turned) of N trials.
        labels: one label per trial, shown beside the points of the front.
    """
    figure, axes = _figure(6.4, 4.6)
    others: dict[str, Any] = {"facecolors": "none", "edgecolors": "#777777", "label": "finished trial"}
    axes.scatter(points_NM[~on_front, 0], points_NM[~on_front, 1], **others)
    best = np.flatnonzero(on_front)
    best = best[np.argsort(points_NM[best, 0])]
    axes.plot(points_NM[best, 0], points_NM[best, 1], "D-", color="#c0392b", label="Pareto front")
    for index in best.tolist():
        axes.annotate(labels[index], points_NM[index], textcoords="offset points", xytext=(5, 5), fontsize=8)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    axes.legend(frameon=False)
    return figure


def agreement_figure(
    categories: Sequence[int], means: Sequence[float], errors: Sequence[float], marked: int | None
) -> "Figure":
    """How far seeds agree over the number of categories, with error bars; the number ``marked`` stands out."""
    figure, axes = _figure(6.4, 4.2)
    axes.errorbar(categories, means, yerr=errors, marker="o", color="#2a6fbb", ecolor="#888888", capsize=3)
    if marked is not None:
        axes.plot(marked, means[categories.index(marked)], "D", color="#c0392b", markersize=10, label=f"K = {marked}")
        axes.legend(frameon=False)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(categories, [str(number) for number in categories])
    axes.set_xlabel("categories K")
    axes.set_ylabel("agreement of seeds (adjusted mutual information)")
    return figure


def save_figure(figure: "Figure", path: Path) -> None:
    """Write the figure as PNG."""
    figure.savefig(path, dpi=110)


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    figure = _empty_figure(width, height)
    return figure, figure.add_subplot()


def _empty_figure(width: float, height: float) -> "Figure":
    """A figure of so many inches, without pyplot, whose global state is not safe in a background thread."""
    from matplotlib.figure import Figure  # trials import this module, and draw nothing

    return Figure(figsize=(width, height), layout="constrained")
