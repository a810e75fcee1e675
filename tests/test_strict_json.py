"""What is written for other programs is JSON as the standard has it."""

import ast
import json
import math
from pathlib import Path

import numpy as np
import pytest

import eig_tune
from eig_tune.strict_json import dumps

ROOT = Path(eig_tune.__file__).parent
# The event log, the cache of classifiers and what lies in a checkpoint are read again by eig-tune alone, NaN included.
OWN_FILES = {
    "strict_json.py",
    "hpo/added.py",
    "hpo/event_log.py",
    "evaluation/record.py",
    "evaluation/classifier.py",
    "training/checkpoint.py",
}


def strict(text: str) -> object:
    def refuse(constant: str) -> object:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_json_lacks_becomes_null_however_deep_it_lies(value: float) -> None:
    document = {"a": value, "b": [1.5, value, (value, {"c": value})], "d": "NaN", "e": True}
    expected = {"a": None, "b": [1.5, None, [None, {"c": None}]], "d": "NaN", "e": True}
    assert strict(dumps(document)) == expected
    assert strict(dumps(document, indent=2)) == expected


def test_nothing_else_writes_json_for_others() -> None:
    writing = {
        file.relative_to(ROOT).as_posix()
        for file in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("dump", "dumps") and ast.unparse(node.value) == "json"
    }
    assert writing <= OWN_FILES
