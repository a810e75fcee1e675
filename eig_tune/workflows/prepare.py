"""Images and evaluation classifier of a search, and whether what is asked for fits them."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from eig_tune.cluster.doctor import Check
from eig_tune.config.conditions import combinations
from eig_tune.config.constraints import in_words as constraints_in_words
from eig_tune.config.objectives import default_objectives, objectives_in_words, unsafe_objectives
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData, load_images
from eig_tune.data.arrays import ArrayImages
from eig_tune.data.facts import facts_of, in_words
from eig_tune.data.left_out import LeftOut, counted, names_file, printable, write_left_out
from eig_tune.errors import ConfigError, EigTuneError, Problem, one_line
from eig_tune.evaluation.classifier import EvaluationClassifier, Role, lowest_accuracy, train_classifier
from eig_tune.evaluation.metrics import METRICS, nmi_of_chance
from eig_tune.home import Home
from eig_tune.models import METHODS
from eig_tune.models.networks import network_for
from eig_tune.processors import processors
from eig_tune.training.loop import TrialData
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)

_MOST_BY_CHANCE = 0.1  # NMI


def prepare_images(
    spec: SearchSpec, home: Home, view: View, arrays: ArrayImages | None = None, *, goes_on: bool = False
) -> ImageData:
    """Images of a search; shows how far it is when they are many, and logs what was left out and what there is.

    Args:
        spec: names the images.
        home: keeps the images of a folder as they were read.
        view: shows how far it is.
        arrays: the images of the data set ``arrays``.
        goes_on: as for :func:`check_fit`.

    Raises:
        DataError: the images cannot be had.
        ConfigError: what is asked for does not fit the images.
    """
    with view.progress_bar("reading images") as on_progress:
        images = load_images(spec.dataset, home.images, on_progress, arrays)
    if images.left_out:
        log_left_out(images.left_out, names_file(home.images, spec.dataset.path))
    for line in in_words(facts_of(images), spec.dataset.imbalance):
        logger.info("%s", line)
    check_fit(spec, images, goes_on=goes_on)
    return images


def with_objectives(spec: SearchSpec, images: ImageData | None) -> SearchSpec:
    """The space with its objectives for these images; logs which they are, and why where the space names none, and the
    constraints if there are any.

    Args:
        images: None while they cannot be had; then the space stays as it is.
    """
    if spec.constraints:
        logger.info("constraints: %s", constraints_in_words(spec.constraints))
    if images is not None:
        resolved = spec.for_images(labelled=images.labelled)
        why = "" if spec.names_objectives else f" (by default, as these images have {_labels(images.labelled)})"
        logger.info("objectives: %s%s", objectives_in_words(resolved.objectives), why)
        return resolved
    if spec.names_objectives:
        logger.info("objectives: %s", objectives_in_words(spec.objectives))
    else:
        each = [
            f"{objectives_in_words(default_objectives(labelled=has))} where the images have {_labels(has)}"
            for has in (True, False)
        ]
        logger.info("objectives: by default, %s", ", or ".join(each))
    return spec


def made_of(spec: SearchSpec, images: ImageData) -> dict[str, object]:
    """What the images make of values that a space leaves to them, by dotted path; ``spec`` has its objectives."""
    return {
        "dataset.image_size": images.image_size,
        "dataset.channels": images.channels,
        "model.network": network_for(spec.model.network, images.image_size).name,
        "objectives": dict(spec.objectives),
    }


def _labels(labelled: bool) -> str:
    return "labels" if labelled else "no labels"


def check_data(spec: SearchSpec, home: Home, view: View) -> Check:
    """Load the images here: a search puts them into Ray's object store once, so that no node needs them on disk."""
    try:
        images = prepare_images(spec, home, view)
    except EigTuneError as error:
        return Check("data", spec.dataset.name, one_line(error))
    mebibytes = images.training.nbytes / 2**20
    found = (
        f"{images.name}: {len(images.training):,} training images, {mebibytes:.1f} MiB; the nodes get them from here"
    )
    return Check("data", found)


def log_left_out(left_out: Sequence[LeftOut], names: Path | None) -> None:
    """Count what was left out on one line; its names go into the file ``names``, or onto a line each without one."""
    lines = [f"left out: {counted(left_out)}"]
    if names is None:
        lines = [*(f"left out, {each.reason}: {printable(each.path)}" for each in left_out), *lines]
    else:
        lines[0] += f"; {_written(left_out, names)}"
    for line in lines:
        logger.info("%s", line)


def _written(left_out: Sequence[LeftOut], names: Path) -> str:
    try:
        write_left_out(left_out, names)
    except OSError as error:
        return f"their names cannot be written to {printable(str(names))} ({error.strerror})"
    return f"names in {printable(str(names))}"


def warn_of_unused(problems: Iterable[Problem]) -> None:
    """Log a warning for each setting that changes nothing."""
    for problem in problems:
        logger.warning("%s", problem)


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


def prepare_classifier(
    spec: SearchSpec, images: ImageData, home: Home, view: View, check: Callable[[], None] = lambda: None
) -> TrialData:
    """The images with their evaluation classifier, where they have labels; shows how far it is when it takes long.

    Args:
        check: called after every training step; what it raises ends the training.
    """
    if not images.labelled:
        return TrialData(images, None)
    for warning in _unsure_scores(spec, images):
        logger.warning("%s", warning)
    return TrialData(images, _classifier(spec, images, home, view, "selection", check))


def prepare_confirming_classifier(
    spec: SearchSpec, data: TrialData, home: Home, check: Callable[[], None]
) -> TrialData:
    """The same images with the second evaluation classifier, where they have labels; ``check`` as for the first. It is
    trained beside trials, on one thread of the CPU."""
    return TrialData(
        data.images,
        data.classifier and _classifier(spec, data.images, home, View(), "confirmation", check, beside_trials=True),
    )


def misfits(spec: SearchSpec, images: ImageData) -> list[Problem]:
    """What is asked for and cannot be had of these images."""
    problems = []
    batch = max(_possible(spec, "batch_size", spec.train.batch_size))
    if batch > len(images.training):
        where = "search.batch_size" if "batch_size" in spec.search else "train.batch_size"
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
        Problem(f"{'search' if name in spec.search else 'augment'}.{name}", "these images are grey; leave it out")
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
        where = "search.method" if "method" in spec.search else "method"
        return [Problem(where, f"{method} needs the true class shares; these images have no labels")]
    where = "search.categories" if "categories" in spec.search else "model.categories"
    got = "other numbers" if number is None else number
    return [Problem(where, f"got {got}; {method} needs one per class, {len(images.classes)}")]


def _classifier(
    spec: SearchSpec,
    images: ImageData,
    home: Home,
    view: View,
    role: Role,
    check: Callable[[], None],
    *,
    beside_trials: bool = False,
) -> EvaluationClassifier:
    import torch

    # Beside trials they need the GPU's memory. At the beginning Ray starts, which needs processors as well.
    usable = min(torch.get_num_threads(), processors().usable)  # PyTorch does not look at cgroups
    threads, device = (1, torch.device("cpu")) if beside_trials else (max(1, usable // 2), None)
    with view.progress_bar(f"training the evaluation classifier ({role})") as show:

        def on_progress(done: int, of: int) -> None:
            check()
            show(done, of)

        classifier = train_classifier(
            images, home.classifiers, on_progress=on_progress, role=role, threads=threads, device=device
        )
    floor = lowest_accuracy(spec.dataset.name)
    if classifier.accuracy < floor:
        logger.warning(
            "the evaluation classifier knows just %s of held-out images, averaged over classes (expected %s or more): "
            "nmi and prior_rmse will be as unsure as it is",
            f"{classifier.accuracy:.1%}",
            f"{floor:.0%}",
        )
    return classifier


def _unsure_scores(spec: SearchSpec, images: ImageData) -> list[str]:
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


def _possible(spec: SearchSpec, name: str, fixed: Any) -> Sequence[Any]:
    """What a trial may have for a field: the ends of its range, or all choices."""
    return spec.search[name].extremes() if name in spec.search else [fixed]
