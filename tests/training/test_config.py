"""The configuration of a run: flat names, ranges, and the words for what is wrong."""

import math
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from eig_tune.models import METHODS
from eig_tune.training import TrainConfig
from eig_tune.training.config import field_names, section_of


def field_of(name: str) -> tuple[Any, Any]:
    """The declared type and the default of a field, by its flat name."""
    section = section_of(name)
    owner = TrainConfig if section is None else type(getattr(TrainConfig(), section))
    return owner.model_fields[name].annotation, owner.model_fields[name].default


def another_value(name: str) -> Any:
    """A valid value of a field, other than its default."""
    declared, default = field_of(name)
    if name == "method":
        return next(method for method in METHODS if method != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, str):
        return next(choice for choice in get_args(declared) if choice != default)
    return default + 4 if isinstance(default, int) else default / 2 if default else 0.25


def value_of(config: TrainConfig, name: str) -> Any:
    section = section_of(name)
    return getattr(config if section is None else getattr(config, section), name)


@pytest.mark.parametrize("name", [*field_names(), "seed"])
def test_every_field_can_be_set_by_its_flat_name_and_nothing_else_changes(name: str) -> None:
    wanted = another_value(name)
    changed = TrainConfig().with_params({name: wanted})
    assert value_of(changed, name) == wanted != value_of(TrainConfig(), name)
    assert changed.with_params({name: value_of(TrainConfig(), name)}) == TrainConfig()


def test_several_values_are_set_at_once_and_the_original_stays() -> None:
    original = TrainConfig()
    changed = original.with_params({"lambda_1": 2.0, "width": 8, "rotation": 5.0, "method": "uniform-infogan"})
    assert (changed.train.lambda_1, changed.model.width, changed.augment.rotation) == (2.0, 8, 5.0)
    assert changed.method == "uniform-infogan"
    assert original == TrainConfig()


def test_flat_names_are_unique_across_sections() -> None:
    names = field_names()
    assert len(names) == len(set(names))
    assert not set(names) & {"model", "train", "augment"}


def test_symbols_of_the_paper_are_there() -> None:
    assert {"lambda_1", "lambda_2", "lambda_3", "tau", "prior_lr", "distance", "categories"} <= set(field_names())


def test_unknown_field_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="lambda_4"):
        TrainConfig().with_params({"lambda_4": 1.0})


def floats() -> list[str]:
    return [name for name in field_names() if field_of(name)[0] is float]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_may_be_nan_or_infinite(value: float) -> None:
    assert len(floats()) >= 10
    for name in floats():
        with pytest.raises(ValidationError):
            TrainConfig().with_params({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tau", 0.0),
        ("lambda_1", -1.0),
        ("generator_lr", 0.0),
        ("nt_xent_temperature", 0.0),
        ("steps", 0),
        ("report_every", 0),
        ("batch_size", 1),
        ("width", 2),
        ("categories", 1),
        ("distance", "l1"),
        ("precision", "fp16"),
        ("seed", -1),
        ("steps", 10.5),
        ("tau", "cold"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        TrainConfig().with_params({name: value})


def test_unknown_key_is_refused_in_every_section() -> None:
    for document in ({"sead": 1}, {"train": {"lambda1": 1}}, {"model": {"depth": 2}}, {"augment": {"tilt": 3}}):
        with pytest.raises(ValidationError, match="Extra inputs"):
            TrainConfig.model_validate(document)


def test_unknown_method_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValidationError, match="did you mean 'elastic-infogan'"):
        TrainConfig(method="elastic_infogan")


def test_method_like_no_other_is_refused_with_all_of_them() -> None:
    with pytest.raises(ValidationError, match=r"uniform-infogan.*elastic-infogan"):
        TrainConfig(method="?")


def test_config_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        TrainConfig().train.steps = 5


def test_config_survives_json() -> None:
    config = TrainConfig().with_params({name: another_value(name) for name in field_names()})
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
