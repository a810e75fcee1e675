"""Images and evaluation classifier of a search, and whether what is asked for fits them."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from eig_tune.cluster.doctor import Check
from eig_tune.config.constraints import in_words as constraints_in_words
from eig_tune.config.objectives import default_objectives, objectives_in_words
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData, load_images
from eig_tune.data.arrays import ArrayImages
from eig_tune.data.facts import facts_of, in_words
from eig_tune.data.left_out import LeftOut, counted, names_file, printable, write_left_out
from eig_tune.errors import EigTuneError, Problem, one_line
from eig_tune.evaluation.classifier import EvaluationClassifier, Role, lowest_accuracy, train_classifier
from eig_tune.home import Home
from eig_tune.models.networks import network_for
from eig_tune.processors import processors
from eig_tune.training.loop import TrialData
from eig_tune.workflows.fit import check_fit, collapsing, unsure_scores
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)


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
    for problem in collapsing(spec, images):
        logger.warning("%s", problem)
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


def prepare_classifier(
    spec: SearchSpec, images: ImageData, home: Home, view: View, check: Callable[[], None] = lambda: None
) -> TrialData:
    """The images with their evaluation classifier, where they have labels; shows how far it is when it takes long.

    Args:
        check: called after every training step; what it raises ends the training.
    """
    if not images.labelled:
        return TrialData(images, None)
    for warning in unsure_scores(spec, images):
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
