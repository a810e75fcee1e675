"""A space with everything that it leaves out, and where each value comes from."""

from pathlib import Path

from eig_tune.config.resolved import Resolved, resolved
from eig_tune.config.space import SearchSpec, load_spec, parse_spec
from eig_tune.training.config import field_names

SPACES = Path(__file__).parents[2] / "search_spaces"
DOCUMENT = {
    "dataset": {"name": "folder", "root": "/images"},
    "train": {"steps": 2000, "batch_size": 32},
    "search": {"lambda_1": {"uniform": [0.1, 1]}, "method": {"choice": ["elastic-infogan", "gumbel-softmax"]}},
    "start_from": [{"lambda_1": 0.5}],
    "asha": {"grace": 1000},
}


def rows(spec: SearchSpec, **made: object) -> dict[str, Resolved]:
    found = resolved(spec, {name.replace("__", "."): value for name, value in made.items()})
    assert len({row.key for row in found}) == len(found)
    return {row.key: row for row in found}


def test_each_value_says_whether_it_was_given() -> None:
    found = rows(parse_spec(DOCUMENT, "test"))
    assert found["train.steps"] == Resolved("train.steps", "2000", "given")
    assert found["train.report_every"] == Resolved("train.report_every", "1000", "default")
    assert found["asha.grace"].origin == "given" and found["asha.reduction_factor"].origin == "default"
    assert found["start_from.0"] == Resolved("start_from.0", "{lambda_1: 0.5}", "given")
    assert found["trials"] == Resolved("trials", "64", "default")


def test_imbalance_of_own_images_is_a_default_until_it_is_given() -> None:
    assert rows(parse_spec(DOCUMENT, "test"))["dataset.imbalance"] == Resolved("dataset.imbalance", "none", "default")
    dataset = {"name": "folder", "root": "/images", "imbalance": "none"}
    given = rows(parse_spec({**DOCUMENT, "dataset": dataset}, "test"))
    assert given["dataset.imbalance"].origin == "given"


def test_searched_field_stands_with_its_range_and_not_with_a_default() -> None:
    found = rows(parse_spec(DOCUMENT, "test"))
    assert found["search.lambda_1"] == Resolved("search.lambda_1", "uniform [0.1, 1.0]", "searched")
    assert found["search.method"].origin == "searched"
    assert "train.lambda_1" not in found and "method" not in found


def test_values_that_no_trial_uses_say_so() -> None:
    found = rows(parse_spec(DOCUMENT, "test"))
    assert found["train.vae_lr"].note == "takes effect only with joint-vae"
    assert not found["train.lambda_3"].note, "one of the two methods has the entropy loss"


def test_what_the_images_make_of_a_value_is_told() -> None:
    found = rows(
        parse_spec(DOCUMENT, "test"),
        dataset__image_size=32,
        model__network="dcgan",
        objectives={"label_free_score": "maximize"},
    )
    assert found["dataset.image_size"] == Resolved("dataset.image_size", "—", "default", "32 for these images")
    assert found["model.network"] == Resolved("model.network", "auto", "default", "dcgan for these images")
    assert found["objectives.label_free_score"].origin == "default"
    named = rows(parse_spec({**DOCUMENT, "objectives": {"nmi": "maximize"}}, "test"), objectives={"nmi": "maximize"})
    assert named["objectives.nmi"] == Resolved("objectives.nmi", "maximize", "given")


def test_every_field_of_every_shipped_space_is_there_once() -> None:
    for file in SPACES.glob("*.yaml"):
        found = rows(load_spec(file))
        keys = {key.rpartition(".")[2] for key in found}
        assert set(field_names()) - {"method"} <= keys, file
