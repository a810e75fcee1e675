"""The JSON schema of a space file: it is the one that the code makes, and it agrees with the loader."""

import copy
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from random_spaces import WRONG, a_space

from eig_tune.config.document import read_document
from eig_tune.config.json_schema import shipped_schema
from eig_tune.config.space import parse_spec
from eig_tune.errors import ConfigError
from eig_tune.reports.provenance import write_spec

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
SCHEMA = Draft7Validator(json.loads(shipped_schema()))
# One of everything, with values in their own types.
WHOLE: dict[str, Any] = {
    "dataset": {"name": "digits", "imbalance": {"split": 0}, "image_size": 16, "channels": 1},
    "method": "elastic-infogan",
    "model": {"width": 16, "categories": 10},
    "train": {"steps": 1500, "report_every": 250, "lambda_2": 3.0, "distance": "js", "straight_through": True},
    "augment": {"rotation": 10.0, "flip": False},
    "search": {
        "tau": {"loguniform": [0.05, 0.5], "when": {"distance": ["nt_xent"]}},
        "lambda_3": {"uniform": [0, 1]},
        "distance": {"choice": ["nt_xent", "js"]},
        "noise_dim": {"randint": [8, 62]},
        "batch_size": {"quniform": [32, 64, 16]},
        "method": {"choice": ["elastic-infogan", "gumbel-softmax+trans"]},
    },
    "start_from": [{"lambda_3": 0.1, "distance": "nt_xent", "tau": 0.1}],
    "objectives": {"nmi": "maximize", "prior_rmse": "minimize"},
    "constraints": {"nmi_real": ">= 0.8", "prior_rmse": "<= 5e-2"},
    "asha": {"grace": 500, "reduction_factor": 3, "brackets": 1},
    "sampler": "tpe",
    "confirm": {"finalists": 3, "top": 1, "seeds": 2, "splits": [0, 1]},
    "compare": {"joint-vae": {"width": 32, "vae_lr": 1.0e-3}},
    "trials": 16,
    "seed": 0,
}
VALUES = [*WRONG, 2, 0.5, "digits", "64", "yes", False, 10**9, 10**10]
# What the loader says where values, each right by itself, do not fit together; a schema cannot say it.
TOGETHER = (
    "must be at most", "the first rung must be", "must be a multiple of train.report_every", "there are at most",
    "needs low < high", "has the one value", "needs a step in", "outside of search", "no trial has",
    "exists only where", "must name each split once", "needs images with labels",
)  # fmt: skip
NOT_IN_JSON = "must be a finite number"


def problems(document: dict[str, Any]) -> list[str]:
    try:
        parse_spec(document, "space.yaml")
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_shipped_schema_is_what_the_code_makes() -> None:
    # In a process of its own, since other tests register metrics and methods of theirs.
    program = "from eig_tune.config.json_schema import schema_text; print(schema_text(), end='')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == shipped_schema(), "make reference writes it anew"
    Draft7Validator.check_schema(SCHEMA.schema)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_shipped_space_names_the_schema_and_fulfils_it(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    named = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    assert named.read_text() == shipped_schema()
    assert [error.message for error in SCHEMA.iter_errors(read_document(path))] == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"trails": 16}, ""),
        ({"trials": 0}, "trials"),
        ({"dataset": {"name": "digitz"}}, "dataset.name"),
        ({"dataset": {"name": "folder"}}, "dataset"),
        ({"dataset": {"name": "digits", "imbalance": "nonee"}}, "dataset.imbalance"),
        ({"train": {"lambda_2": -1}}, "train.lambda_2"),
        ({"train": {"lambda_9": 1}}, "train"),
        ({"objectives": {"nmi": "minimize"}}, "objectives.nmi"),
        ({"objectives": {}}, "objectives"),
        ({"search": {"steps": {"randint": [1, 2]}}}, "search"),
        ({"search": {"tau": {"uniform": [0.1, 0.2], "choice": [1, 2]}}}, "search.tau"),
        ({"search": {"tau": {"loguniform": [0, 1]}}}, "search.tau.loguniform.0"),
        ({"search": {"tau": {"uniform": [0.1]}}}, "search.tau.uniform"),
        ({"search": {"distance": {"uniform": [0, 1]}}}, "search.distance"),
        ({"search": {"width": {"uniform": [16.5, 32]}}}, "search.width.uniform.0"),
        ({"start_from": [{"lamda_1": 1.0}]}, "start_from.0"),
        ({"compare": {"joint-vea": {}}}, "compare"),
    ],
)
def test_mistake_is_found_at_its_key_by_schema_and_loader(change: dict[str, Any], where: str) -> None:
    document = {**WHOLE, "start_from": [], **change}
    assert {".".join(map(str, error.path)) for error in SCHEMA.iter_errors(document)} == {where}
    assert problems(document) != []


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in below:
        yield (*path, key)
        yield from places(child, (*path, key))


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The whole document with another value at one place."""
    document: Any = copy.deepcopy(WHOLE)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return dict(document)


@pytest.mark.parametrize("path", places(WHOLE), ids=lambda path: ".".join(map(str, path)))
def test_schema_and_loader_agree_on_every_value(path: tuple[Any, ...]) -> None:
    assert SCHEMA.is_valid(WHOLE) and not problems(WHOLE)
    for value in VALUES:
        document = changed(path, value)
        found, taken = problems(document), SCHEMA.is_valid(document)
        if taken:
            assert all(any(words in problem for words in (*TOGETHER, NOT_IN_JSON)) for problem in found), (value, found)
        elif not found:
            converted = isinstance(value, str) or (value == 0 and path[-1] in ("flip", "straight_through"))
            assert converted or (path[-1] == "when" and value is None), (value, "the schema alone refuses it")


@pytest.mark.parametrize("seed", range(4))
def test_whatever_loads_fulfils_the_schema(tmp_path: Path, seed: int) -> None:
    luck, loaded = random.Random(seed), 0
    for _ in range(15):
        try:
            spec = parse_spec(a_space(luck), "space.yaml")
        except ConfigError:
            continue
        loaded += 1
        write_spec(spec, tmp_path)
        document = yaml.safe_load((tmp_path / "resolved_space.yaml").read_text())
        assert [error.message for error in SCHEMA.iter_errors(document)] == []
    assert loaded
