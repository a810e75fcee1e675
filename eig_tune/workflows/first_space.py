"""A first space for images that nobody has described yet: look at them, measure a trial, and fit a search to a time."""

import datetime
from dataclasses import dataclass

from eig_tune.config.document import parse_value
from eig_tune.config.durations import duration_in_words
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.data import DatasetConfig, ImageData, load_images
from eig_tune.data.file_list import listed_files
from eig_tune.data.kinds import KINDS, Guess, guess_kind
from eig_tune.data.left_out import names_file
from eig_tune.data.listing import list_images
from eig_tune.data.look import Look, look_at_files, look_at_images
from eig_tune.data.resize import nearest_side
from eig_tune.data.sources import SOURCES
from eig_tune.data.sources.array_file import stored_side
from eig_tune.errors import ConfigError, Problem
from eig_tune.home import Home
from eig_tune.hpo.budget import Budget, budget_of, largest_within
from eig_tune.hpo.plan import Plan, make_plan
from eig_tune.workflows.cost import Cost, measure_cost
from eig_tune.workflows.prepare import log_left_out
from eig_tune.workflows.space_text import Draft, space_text
from eig_tune.workflows.view import View

_SMALLEST_SIDE = 16  # that of digits.yaml; smaller ones are enlarged
_LARGEST_SIDE = {"cpu": 32, "gpu": 64}
_USUAL_STEPS = {True: 1500, False: 3000}  # up to the smallest side, and above: as measured on digits, MNIST and letters
_LABEL_FREE_CATEGORIES = 10
_MORE_CATEGORIES = (1.4, 1.6)  # than classes, as in digits.yaml
_LARGEST_BATCH = 64
_OF_THE_TIME = 0.85  # Ray has to start, pictures are drawn, and trials beside each other slow each other


@dataclass(frozen=True)
class Asked:
    """What a person says about the space; None is left to the images.

    Attributes:
        dataset: where the images lie; what it says of their size and colours is taken as it is.
        seconds: that the search shall take.
        slots: trials at once.
        gpu: whether they train on GPUs.
        kind: of the images, by its name.
        categories: how many.
    """

    dataset: DatasetConfig
    seconds: float
    slots: int
    gpu: bool
    kind: str | None = None
    categories: int | None = None


@dataclass(frozen=True)
class Seen:
    """What there is of the images, and what a space of them has whatever its size."""

    images: ImageData
    look: Look
    guess: Guess
    draft: Draft


@dataclass(frozen=True)
class FirstSpace:
    """A space file, and what it was made from.

    Attributes:
        seconds: that its search takes, about.
    """

    seen: Seen
    text: str
    spec: SearchSpec
    cost: Cost
    plan: Plan
    seconds: float


def look_at_images_of(asked: Asked, home: Home, view: View) -> Seen:
    """Read the images in the size and colours that fit them, and draft a space.

    Args:
        asked: what a person says about it.
        home: keeps the images as they were read, so that the search need not read them again.
        view: shows how far it is.

    Raises:
        DataError: the images cannot be had.
    """
    read, images, look = _read(asked, home, view)
    guess = Guess(KINDS[asked.kind]) if asked.kind else guess_kind(read.name, images.classes, look)
    classes = len(images.classes) if images.labelled else 0
    draft = Draft(
        dataset=read,
        size_reason=_size_reason(asked, images, look),
        channels_reason=_channels_reason(asked, look),
        guess=guess,
        width=_width(images.image_size, gpu=asked.gpu),
        batch_size=_batch_size(len(images.training)),
        classes=classes,
        categories=_categories(asked, classes),
    )
    return Seen(images, look, guess, draft)


def fit_to_time(seen: Seen, asked: Asked, home: Home) -> FirstSpace:
    """Measure a trial, and make the space whose search takes about as long as was asked for.

    Raises:
        ConfigError: no search ends in that time, or a value that was asked for is none.
    """
    images, draft = seen.images, seen.draft
    usual = _USUAL_STEPS[images.image_size <= _SMALLEST_SIDE]
    cost = measure_cost(_spec(draft, budget_of(16, usual)), images, home)

    def planned(budget: Budget) -> tuple[SearchSpec, Plan, float]:
        spec = _spec(draft, budget)
        plan = make_plan(spec, min(asked.slots, budget.trials))
        return spec, plan, cost.seconds(spec, plan)

    there_are = _OF_THE_TIME * asked.seconds
    budget, _ = largest_within(there_are, usual, lambda size: planned(size)[2])
    spec, plan, seconds = planned(budget)
    if seconds > there_are:
        raise _too_short(asked, budget, seconds, images)
    return FirstSpace(seen, space_text(draft, budget, _head(asked, images, cost, seconds)), spec, cost, plan, seconds)


def _read(asked: Asked, home: Home, view: View) -> tuple[DatasetConfig, ImageData, Look]:
    """The images in the size and colours that fit them."""
    given = asked.dataset
    look = _look_at_files(given)
    side = _side_of_source(given) if look is None else look.side
    size = given.image_size or _fitting(side, gpu=asked.gpu)
    channels = given.channels or (None if look is None else 3 if look.coloured else 1)
    config = given.model_copy(update={"image_size": size, "channels": channels})
    images = _load(config, home, view)
    look = look or look_at_images(images.trainable, (side, side))
    if channels is None:
        config = config.model_copy(update={"channels": 3 if look.coloured else 1})
        images = images if config.channels == images.channels else _load(config, home, view)
    return config, images, look


def look_of(config: DatasetConfig, images: ImageData) -> Look:
    """A look at images that were read, as they lie where they come from."""
    side = images.image_size if config.name == "arrays" else 0
    look = _look_at_files(config)
    return look or look_at_images(images.trainable, (side or _side_of_source(config),) * 2)


def _load(config: DatasetConfig, home: Home, view: View) -> ImageData:
    with view.progress_bar("reading images") as on_progress:
        images = load_images(config, home.images, on_progress)
    if images.left_out:
        log_left_out(images.left_out, names_file(home.images, config.path))
    return images


def _look_at_files(config: DatasetConfig) -> Look | None:
    """A look at image files before they are read; None for other sources, and where none can be read, which is an error
    that reading them tells best."""
    try:
        if config.name == "folder":
            return look_at_files([config.path / file.path for file in list_images(config.path).files])
        return look_at_files(listed_files(config.path)) if config.name == "file-list" else None
    except OSError:
        return None


def _side_of_source(config: DatasetConfig) -> int:
    if config.name == "array-file":
        return stored_side(config.path)
    size = SOURCES[config.name].image_size
    return int(size) if size.isdigit() else _SMALLEST_SIDE


def _fitting(side: int, *, gpu: bool) -> int:
    return min(max(_SMALLEST_SIDE, nearest_side(side)), _LARGEST_SIDE["gpu" if gpu else "cpu"])


def _width(side: int, *, gpu: bool) -> int:
    if gpu:
        return 64
    return 16 if side <= _SMALLEST_SIDE else 32


def _size_reason(asked: Asked, images: ImageData, look: Look) -> str:
    if asked.dataset.image_size is not None:
        return "as asked for"
    there = f"half of them have {look.side} or more" if len(set(look.sizes)) > 1 else f"they have {look.side}"
    longer = "; twice the side takes about four times as long" if look.side > images.image_size else ""
    return f"{there}{longer}"


def _channels_reason(asked: Asked, look: Look) -> str:
    if asked.dataset.channels is not None:
        return "as asked for"
    if look.coloured:
        return "colours; 1 where they mean nothing: then no category can be a colour"
    return "they have no colours"


def _batch_size(images: int) -> int:
    """The largest power of two that there are images for."""
    return int(min(_LARGEST_BATCH, 2 ** (images.bit_length() - 1)))


def _categories(asked: Asked, classes: int) -> tuple[int, ...]:
    if asked.categories is not None:
        return (asked.categories,)
    if not classes:
        return (_LABEL_FREE_CATEGORIES,)
    fewer, more = (round(classes * share) for share in _MORE_CATEGORIES)
    fewer = max(classes + 1, fewer)
    return (fewer, max(fewer + 1, more))


def _spec(draft: Draft, budget: Budget) -> SearchSpec:
    return parse_spec(parse_value(space_text(draft, budget, "")), "the space")


def _head(asked: Asked, images: ImageData, cost: Cost, seconds: float) -> str:
    labels = f"{len(images.classes)} classes" if images.labelled else "no labels"
    return (
        f"Written by `eig-tune init` on {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}: "
        f"{len(images.trainable) + len(images.held_out):,} images, {labels}.\n"
        f"Planned for {duration_in_words(asked.seconds)} with {asked.slots} trials at once: about "
        f"{duration_in_words(seconds)}, confirmation included, at {cost.trial.steps_per_second:.1f} steps/s\n"
        "of a trial alone, as measured where this was written. `eig-tune validate FILE` measures it again."
    )


def _too_short(asked: Asked, budget: Budget, seconds: float, images: ImageData) -> ConfigError:
    smaller = ", a smaller --image-size" if images.image_size > _SMALLEST_SIDE else ""
    smallest = f"{budget.trials} trials of {budget.steps:,} steps with {asked.slots} at once"
    what = (
        f"got {duration_in_words(asked.seconds)}; the smallest search of these images, {smallest}, takes about "
        f"{duration_in_words(seconds / _OF_THE_TIME)}: give that{smaller}, or more --slots"
    )
    return ConfigError("eig-tune init", [Problem("--time", what)])
