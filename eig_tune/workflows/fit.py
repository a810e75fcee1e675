"""Whether what is asked for fits the images, and what is to be said where it fits badly."""

import logging
from collections.abc import Sequence
from typing import Any

from eig_tune.config.conditions import combinations
from eig_tune.config.objectives import default_objectives, objectives_in_words, unsafe_objectives
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData
from eig_tune.errors import ConfigError, Problem
from eig_tune.evaluation.metrics import METRICS, nmi_of_chance
from eig_tune.models import METHODS
from eig_tune.models.networks import network_for

logger = logging.getLogger(__name__)

_MOST_BY_CHANCE = 0.1  # NMI


def check_fit(spec: SearchSpec, images: ImageData, *, goes_on: bool = False) -> None:
    """See that what is asked for fits the images.

    Args:
        goes_on: the search has begun before. Objectives for which a bad model would win are a warning then, because an
            earlier version has begun such searches, and nothing of them shall be lost.

    Raises:
        ConfigError: it does not; every problem is reported.
    """
    spec = spec.for_images(labelled=images.labelled)
    problems, unsafe = misfits(spec, images), unsafe_objectives(spec.objectives, spec.search)
    if goes_on:
        for problem in unsafe:
            logger.warning("%s. The search goes on as it has begun; look at its samples before you choose", problem)
    else:
        problems += unsafe
    if problems:
        raise ConfigError("the search does not fit its images", problems)


def misfits(spec: SearchSpec, images: ImageData) -> list[Problem]:
    """What is asked for and cannot be had of these images."""
    problems = []
    batch = max(_possible(spec, "batch_size", spec.train.batch_size))
    if batch > len(images.training):
        where = _where(spec, "train.batch_size")
        problems.append(Problem(where, f"got {batch}, but there are {len(images.training)} training images"))
    if not images.labelled and (needing := spec.needing_labels()):
        what = f"{' and '.join(needing)} cannot be computed, as these images have no labels; leave `objectives` out"
        problems.append(Problem("objectives", f"{what} for {objectives_in_words(default_objectives(labelled=False))}"))
    return [
        *problems,
        *_unmeetable(spec, images),
        *_colours_of_grey(spec, images),
        *_without_class_shares(spec, images),
    ]


def _colours_of_grey(spec: SearchSpec, images: ImageData) -> list[Problem]:
    """Changes of colour of images that have none."""
    if images.channels == 3:
        return []
    asked = {name: _possible(spec, name, getattr(spec.augment, name)) for name in ("saturation", "hue")}
    return [
        Problem(_where(spec, f"augment.{name}"), "these images are grey; leave it out")
        for name, values in asked.items()
        if any(values)
    ]


def _unmeetable(spec: SearchSpec, images: ImageData) -> list[Problem]:
    """Constraints that no trial on these images can meet."""
    if not images.labelled:
        return [
            Problem(f"constraints.{name}", f"{name} needs labels, and these images have none; leave it out")
            for name in spec.constraints
            if METRICS[name].needs_labels
        ]
    bound = spec.constraints.get("classes_found")
    if bound is None or bound.value <= len(images.classes):
        return []
    return [Problem("constraints.classes_found", f"got '{bound}'; there are {len(images.classes)} classes")]


def _without_class_shares(spec: SearchSpec, images: ImageData) -> list[Problem]:
    """What keeps a trial from having the true class shares as its prior, if one shall."""
    runs = combinations(spec.search, spec.base_config().flat(), {"method", "categories"})
    categories = {run["categories"]: run["method"] for run in runs if METHODS[run["method"]].prior == "ground-truth"}
    wrong = [(number, method) for number, method in categories.items() if number != len(images.classes)]
    if not wrong:
        return []
    number, method = wrong[0]
    if not images.labelled:
        return [Problem(_where(spec, "method"), f"{method} needs the true class shares; these images have no labels")]
    where = _where(spec, "model.categories")
    got = "other numbers" if number is None else number
    return [Problem(where, f"got {got}; {method} needs one per class, {len(images.classes)}")]


def collapsing(spec: SearchSpec, images: ImageData) -> list[Problem]:
    """What lets G end with one image for every code in most runs, at this side of the images."""
    side, name = images.image_size, "diff_translation"
    methods = _possible(spec, "method", spec.method)
    networks = [network_for(each, side) for each in _possible(spec, "network", spec.model.network)]
    network = next((each.name for each in networks if side in each.collapses_unshifted), None)
    trained = any(name in METHODS[method].model.settings.model_fields for method in methods)
    if network is None or not trained or min(_possible(spec, name, spec.train.diff_translation)) > 0:
        return []
    where = _where(spec, f"train.{name}")
    return [
        Problem(where, f"without such a shift, {network} at {side}×{side} collapses in most runs; give 0.0625 or more")
    ]


def unsure_scores(spec: SearchSpec, images: ImageData) -> list[str]:
    """Scores that chance alone makes high, because categories and classes are many and images few."""
    assert images.class_distribution is not None
    categories, classes = max(_possible(spec, "categories", spec.model.categories)), len(images.classes)
    generated = categories * spec.train.images_per_category
    counted = {
        "nmi": (generated, "generated images", "; raise train.images_per_category"),
        "nmi_real": (len(images.held_out), "held-out images", ""),
    }
    return [
        f"{name} is about {chance:.2f} by chance alone: {count} {of} are few for {categories} "
        f"categories and {classes} classes{remedy}"
        for name, (count, of, remedy) in counted.items()
        if (chance := nmi_of_chance(count, categories, images.class_distribution)) > _MOST_BY_CHANCE
    ]


def _where(spec: SearchSpec, path: str) -> str:
    """Where a space gives the field that is fixed at this path: there, or where it is searched."""
    name = path.rpartition(".")[2]
    return f"search.{name}" if name in spec.search else path


def _possible(spec: SearchSpec, name: str, fixed: Any) -> Sequence[Any]:
    """What a trial may have for a field: the ends of its range, or all choices."""
    return spec.search[name].extremes() if name in spec.search else [fixed]
