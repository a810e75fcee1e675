"""The table of methods is the design's, and what it says of a field is what a training step does with it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from eig_tune.data import ImageData, Images
from eig_tune.models import METHODS, USES
from eig_tune.training import TrainConfig
from eig_tune.training.config import field_names
from eig_tune.training.loop import Run, TrialData

ROWS = [
    ("uniform-infogan", "uniform", False, False),
    ("ground-truth-infogan", "ground-truth", False, False),
    ("ground-truth-infogan+trans", "ground-truth", True, False),
    ("gumbel-softmax", "learned", False, False),
    ("gumbel-softmax+trans", "learned", True, False),
    ("elastic-infogan", "learned", True, True),
    ("joint-vae", "uniform", False, False),
]


@pytest.mark.parametrize(("name", "prior", "transformation", "entropy"), ROWS)
def test_row_is_as_designed(name: str, prior: str, transformation: bool, entropy: bool) -> None:
    method = METHODS[name]
    assert (method.prior, method.transformation, method.entropy) == (prior, transformation, entropy)


def test_table_has_the_seven_systems_of_the_paper_and_no_other() -> None:
    assert list(METHODS) == [name for name, *_ in ROWS]
    assert {name for name, method in METHODS.items() if method.model.name == "joint-vae"} == {"joint-vae"}


def test_every_row_is_found_by_its_own_name_and_cites_its_paper() -> None:
    for name, method in METHODS.items():
        assert method.name == name
        assert "arXiv" in method.citation


FEW = {
    "width": 4,
    "noise_dim": 4,
    "batch_size": 8,
    "categories": 10,
    "steps": 2,
    "capacity_steps": 7,
    "precision": "fp32",
}
# Another value of each field, near enough to the usual one that training goes on, and far enough to be seen.
OTHER: dict[str, Any] = {
    "network": "dcgan", "width": 5, "categories": 11, "noise_dim": 5, "batch_size": 9, "rotation": 3.0, "zoom": 0.2,
    "shear": 1.0,
    "shift": 0.1, "distortion": 0.0, "flip": True, "lambda_1": 2.0, "lambda_2": 1.0, "lambda_3": 3.0, "tau": 0.5,
    "prior_lr": 0.3, "generator_lr": 1e-3, "discriminator_lr": 1e-3, "distance": "l2", "nt_xent_temperature": 0.5,
    "category_loss_trains_front_end": False, "code_target": "hard", "prior_entropy_in_information": False,
    "straight_through": True, "prior_update": "posterior", "shared_batch_statistics": True, "precision": "bf16",
    "continuous_dim": 3, "continuous_capacity": 0.0, "categorical_capacity": 0.0, "capacity_steps": 10**9,
    "capacity_gamma": 3.0, "code_temperature": 0.3, "vae_lr": 1e-2, "brightness": 0.5, "contrast": 0.5,
    "saturation": 0.5, "hue": 0.3, "blur": 0.1, "invert": 0.5, "gan_loss": "hinge", "r1_gamma": 2.0,
    "diff_translation": 0.25, "diff_cutout": 0.5, "diff_colour": 1.0, "prior_warmup_steps": 10**9,
}  # fmt: skip
BUDGET_AND_JUDGING = {
    "method", "steps", "report_every", "images_per_category", "final_images_per_category", "ema_decay",
}  # fmt: skip


def coloured(data: ImageData) -> ImageData:
    """The images in a brown whose hue and saturation can change."""
    brown = np.array([1.0, 0.6, 0.3]).reshape(1, 3, 1, 1)

    def painted(images: Images) -> Images:
        return Images((images.pixels * brown).astype(np.uint8), images.labels)

    return replace(
        data, training=painted(data.training), trainable=painted(data.trainable), held_out=painted(data.held_out)
    )


def trained(config: TrainConfig, data: TrialData) -> dict[str, torch.Tensor]:
    """The weights after one step, of every module."""
    run = Run(config, data, torch.device("cpu"))
    run.advance(1)
    modules = run.model.modules().items()
    return {f"{name}.{key}": value for name, module in modules for key, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_every_field_is_known_to_the_test_below() -> None:
    assert set(OTHER) == set(field_names()) - BUDGET_AND_JUDGING >= set(USES)


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("uniform-infogan", {}),
        ("ground-truth-infogan+trans", {}),
        ("gumbel-softmax", {}),
        ("elastic-infogan", {}),
        ("elastic-infogan", {"distance": "js", "prior_update": "posterior"}),
        ("elastic-infogan", {"network": "dcgan"}),
        ("elastic-infogan", {"network": "resnet"}),
        ("joint-vae", {}),
    ],
)
def test_field_changes_the_training_exactly_where_its_use_holds(
    few_digits: ImageData, method: str, fields: dict[str, str]
) -> None:
    usual, data = TrainConfig().with_params({**FEW, **fields, "method": method}), TrialData(coloured(few_digits), None)
    weights = trained(usual, data)
    assert same(weights, trained(usual, data))
    for name, value in OTHER.items():
        if name == "categories" and METHODS[method].prior == "ground-truth":
            continue  # it has one for each class
        if usual.flat()[name] == value:
            continue  # it is that other value
        used = name not in USES or USES[name].holds(METHODS[method], usual.flat())
        changed = not same(weights, trained(usual.with_params({name: value}), data))
        assert changed == used, f"{name} with {method} {fields}"
