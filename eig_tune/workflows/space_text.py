"""The text of a space file for images that were looked at: every number with the reason why it is what it is."""

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from eig_tune.config.json_schema import SCHEMA_FILE
from eig_tune.config.objectives import default_objectives, objectives_in_words
from eig_tune.data.kinds import Guess
from eig_tune.data.settings import DatasetConfig
from eig_tune.hpo.budget import Budget
from eig_tune.models.networks import AUTO, network_for

_COMMENTS_FROM, _WIDEST = 36, 116  # columns


@dataclass(frozen=True)
class Draft:
    """What is known of a space before it is known how long its search may be.

    Attributes:
        dataset: the images, and how they are read.
        size_reason: why they are made so large, in words.
        channels_reason: why they are grey or in colour, in words.
        guess: of which kind they are.
        width: of the networks.
        batch_size: images of a step.
        classes: how many; 0 without labels.
        categories: how many; of two, the search chooses.
    """

    dataset: DatasetConfig
    size_reason: str
    channels_reason: str
    guess: Guess
    width: int
    batch_size: int
    classes: int
    categories: tuple[int, ...]


def space_text(draft: Draft, budget: Budget, head: str) -> str:
    """The file; ``head`` becomes comments at its top."""
    sections = (
        [f"# yaml-language-server: $schema={SCHEMA_FILE.as_uri()}", *(f"# {line}" for line in head.splitlines())],
        _dataset(draft),
        _model(draft),
        _train(draft, budget),
        _augment(draft),
        _search(draft),
        _goal(draft),
        _size(budget),
    )
    return "".join(f"{line}\n" for section in sections for line in section)


def _dataset(draft: Draft) -> list[str]:
    dataset = draft.dataset
    imbalance = (
        ("imbalance: none", "the images as they are")
        if dataset.imbalance == "none"
        else ("imbalance: {split: 0}", "classes are made unequal, as in the paper; none leaves them")
    )
    return [
        "dataset:",
        f"  name: {dataset.name}",
        *([f"  root: {_scalar(str(dataset.root))}"] if dataset.root is not None else []),
        *([f"  labels: {_scalar(str(dataset.labels))}"] if dataset.labels is not None else []),
        _said(f"  image_size: {dataset.image_size}", draft.size_reason),
        _said(f"  channels: {draft.dataset.channels}", draft.channels_reason),
        _said(f"  {imbalance[0]}", imbalance[1]),
        "method: elastic-infogan",
    ]


def _model(draft: Draft) -> list[str]:
    width = _said(f"  width: {draft.width}", "64 has the published networks, and takes longer")
    network = _said("  network: auto", "infogan below 32 × 32, dcgan from there on")
    if len(draft.categories) > 1:
        return ["model:", network, width]
    if draft.classes:
        return ["model:", network, width, f"  categories: {draft.categories[0]}"]
    return [
        "model:",
        network,
        width,
        "  # A guess, as nothing here says how many kinds there are. Write some more than you expect, as a rare kind",
        "  # needs a category to itself; `eig-tune suggest-k --space FILE` measures on how many of them runs agree.",
        f"  categories: {draft.categories[0]}",
    ]


def _train(draft: Draft, budget: Budget) -> list[str]:
    batch = "" if draft.batch_size == 64 else "no more than there are training images"
    return [
        "train:",
        _said(f"  steps: {budget.steps}", "optimisation steps of a trial that is not stopped early"),
        _said(f"  report_every: {budget.report_every}", "steps between two evaluations, which take time as well"),
        _said(f"  batch_size: {draft.batch_size}", batch),
        _said("  generator_lr: 1.0e-3", "InfoGAN's own (Chen et al. 2016, appendix C.1); small networks learn"),
        _said("  discriminator_lr: 5.0e-4", "in a few thousand steps at these two rates"),
        "  distance: nt_xent",
        *(_train_pyramid(budget) if _pyramid(draft) else []),
        _said("  images_per_category: 100", "generated for an evaluation; ten times as many for the last one"),
    ]


def _pyramid(draft: Draft) -> bool:
    """Whether `network: auto` is that of larger images."""
    return network_for(AUTO, draft.dataset.image_size or 0).name == "dcgan"


def _train_pyramid(budget: Budget) -> list[str]:
    """As measured on letters in colour, at 32 × 32 and 64 × 64."""
    return [
        _said("  diff_translation: 0.0625", "D sees images shifted by a 16th: without it G collapses in some runs"),
        _said("  prior_update: posterior", "the prior follows Q's shares of the images, at prior_lr a step"),
        _said(f"  prior_warmup_steps: {budget.steps // 2}", "from half of the steps on, when categories are classes"),
    ]


def _augment(draft: Draft) -> list[str]:
    guess, coloured = draft.guess, draft.dataset.channels == 3
    guessed = f" (guessed: {guess.reason}; `eig-tune init --kind` has others)" if guess.reason else ""
    more = ["invert", "blur", *(["hue", "saturation"] if coloured else [])]
    section = guess.augment(draft.dataset.channels or 1)
    return [
        *_comment(
            "δ: everything in which two images of one kind may differ. What is not in here may become a category, and "
            "no number will show it; what tells kinds apart must not be in here."
        ),
        *_comment(
            f"Made for {guess.kind.name}, that is {guess.kind.meaning}{guessed}: {guess.kind.why}. There are also "
            f"{', '.join(name for name in more if name not in section)} (docs/reference.md)."
        ),
        f"augment: {_flow(section)}",
    ]


def _search(draft: Draft) -> list[str]:
    categories = []
    if len(draft.categories) > 1:
        choice = ", ".join(map(str, draft.categories))
        categories = [
            f"  # More than the {draft.classes} classes, so that a rare class has a category of its own.",
            f"  categories: {{choice: [{choice}]}}",
        ]
    rates, first, on = (
        ("[1.0e-3, 1.0e-2]", "4.0e-3", "letters in colour")
        if _pyramid(draft)
        else ("[3.0e-4, 1.0e-2]", "3.0e-3", "handwritten digits")
    )
    return [
        "# A search says where its best trials lie at an end of a range: widen that one, and go on with --resume.",
        "search:",
        *categories,
        _said("  lambda_1: {loguniform: [0.3, 3]}", "weight of the mutual information"),
        _said("  lambda_2: {loguniform: [3, 30]}", "weight of L_trans: an image and δ of it are of one category"),
        _said("  lambda_3: {loguniform: [0.01, 1]}", "weight of the entropy: Q is sure of one category"),
        _said("  tau: {loguniform: [0.05, 0.5]}", "temperature of the Gumbel-softmax"),
        _said(f"  prior_lr: {{loguniform: {rates}}}", "how fast the categories' shares are learned"),
        "start_from:",
        f"  # λ1, λ2 and τ of the paper's code; λ3 and prior_lr as measured on {on}.",
        f"  - {{lambda_1: 1.0, lambda_2: 10.0, lambda_3: 0.1, tau: 0.1, prior_lr: {first}}}",
    ]


def _goal(draft: Draft) -> list[str]:
    if not draft.classes:
        words = objectives_in_words(default_objectives(labelled=False))
        return [f"# objectives: not named, so those for images without labels: {words}."]
    constraint = _said(f'constraints: {{classes_found: ">= {draft.classes}"}}', "a model with every class is preferred")
    return [
        "# nmi: generated images of a category are of one class; prior_rmse: the learned shares are the true ones.",
        f"objectives: {_flow(default_objectives(labelled=True))}",
        *([constraint] if draft.categories[0] >= draft.classes else []),
    ]


def _size(budget: Budget) -> list[str]:
    runs = budget.finalists + budget.top * budget.seeds
    return [
        _said(f"asha: {{grace: {budget.grace}, reduction_factor: 3}}", "at that step two of three trials are paused"),
        _said(f"trials: {budget.trials}", "16 or more, for the sampler to learn from"),
        f"# The best {budget.finalists} are trained on a second seed, and the best {budget.top} of these on "
        f"{budget.seeds} fresh ones: at most {runs} runs.",
        f"confirm: {{finalists: {budget.finalists}, top: {budget.top}, seeds: {budget.seeds}}}",
        "seed: 0",
    ]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDEST, initial_indent="# ", subsequent_indent="# ")


def _said(line: str, comment: str) -> str:
    return f"{line:<{_COMMENTS_FROM}} # {comment}" if comment else line


def _flow(section: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_scalar(value)}" for name, value in section.items()) + "}"


def _scalar(value: Any) -> str:
    """A value as YAML has it on one line; a path may hold what YAML takes for its own."""
    text: str = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.strip().removeprefix("[").removesuffix("]")
