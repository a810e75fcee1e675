"""The values of a space, each as the field that it is for has it, or a problem at its key.

A YAML file has text for a number in quotes, whole numbers for weights and words for switches; nothing behind this door
has.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from eig_tune.config.distributions import Distribution, combinations, either, exists, in_order_of_conditions
from eig_tune.errors import Problem
from eig_tune.models import METHODS
from eig_tune.schema import problems_of, shown, suggestion
from eig_tune.training import TrainConfig
from eig_tune.training.config import Value, field_names, typed

_BUDGET = ("steps", "report_every")
_SECTIONS = ("model", "train", "augment")
Space = Mapping[str, Distribution]


def fixed_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of a run by its flat name, as the document sets it; what is wrong there keeps its default."""
    fields = TrainConfig().flat()
    sections = [section for name in _SECTIONS if isinstance(section := document.get(name), dict)]
    for section in (document, *sections):
        for name in fields.keys() & section.keys():
            try:
                fields[name] = typed(name, section[name])
            except ValueError:
                continue
    return fields


def typed_search(entries: Any, fixed: Mapping[str, Any]) -> tuple[dict[str, Distribution], list[Problem]]:
    """The well-formed entries of ``search``, and what is wrong with the others and with their conditions."""
    space: dict[str, Distribution] = {}
    problems: list[Problem] = []
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            distribution = _distribution(name, entry)
        except ValueError as error:
            problems += _below(f"search.{name}", error)
            continue
        space[name], wrong = _typed_conditions(distribution, f"search.{name}.when")
        problems += wrong
    return space, problems or _check_conditions(space, fixed)


def _distribution(name: str, entry: Any) -> Distribution:
    if name == "seed":
        raise ValueError("each trial has a seed of its own; set the top-level `seed` for that of the search")
    if name in _BUDGET:
        raise ValueError("is the budget of a trial, which rungs count in; set it under `train`")
    if name not in field_names():
        raise ValueError(f"no such parameter{suggestion(name, [n for n in field_names() if n not in _BUDGET])}")
    if not isinstance(entry, dict):
        what = "write a range, such as {uniform: [1, 5]} or {choice: [1, 5]}, or set the value outside of `search`"
        raise ValueError(f"got {shown(entry)}; {what}")
    return Distribution.model_validate(entry).for_field(name)


def _below(where: str, error: ValueError) -> list[Problem]:
    if not isinstance(error, ValidationError):
        return [Problem(where, str(error))]
    found = problems_of(error, {"": Distribution})
    return [Problem(where if p.where == "(the file)" else f"{where}.{p.where}", p.what) for p in found]


def _typed_conditions(distribution: Distribution, where: str) -> tuple[Distribution, list[Problem]]:
    conditions: dict[str, tuple[Value, ...]] = {}
    problems = []
    for other, allowed in (distribution.when or {}).items():
        try:
            conditions[other] = tuple(dict.fromkeys(_of_field(other, value) for value in allowed))
        except ValueError as error:
            problems.append(Problem(f"{where}.{other}", str(error)))
    return distribution.model_copy(update={"when": conditions or None}), problems


def _of_field(name: str, value: Any) -> Value:
    if name not in field_names():
        raise ValueError(f"no such parameter{suggestion(name, field_names())}")
    return typed(name, value)


def _check_conditions(space: Space, fixed: Mapping[str, Any]) -> list[Problem]:
    try:
        in_order_of_conditions(space)
    except ValueError as error:
        return [Problem("search", str(error))]
    return [p for name in space for p in _check_that_it_can_hold(space, fixed, name)]


def _check_that_it_can_hold(space: Space, fixed: Mapping[str, Any], name: str) -> list[Problem]:
    """A condition that no trial fulfils is a mistake, since the parameter would never be searched."""
    when = space[name].when or {}
    trials = list(combinations(space, fixed, set(when)))
    if any(exists(space[name], trial) for trial in trials):
        return []
    where = f"search.{name}.when"
    for other, allowed in when.items():
        if not any(trial[other] in allowed for trial in trials):
            instead = f"search.{other} is {space[other]}" if other in space else f"it is {shown(fixed[other])} in all"
            return [Problem(f"{where}.{other}", f"no trial has {other} {either(allowed)}: {instead}")]
    return [Problem(where, "no trial fulfils all of it at once")]


def typed_points(
    points: Any, space: Space, searched: Mapping[str, Any]
) -> tuple[list[dict[str, Value]], list[Problem]]:
    """The values of ``start_from``, and what is wrong with it; ``searched`` is ``search`` as the document has it."""
    if not isinstance(points, list | tuple):
        what = "must be a list of points, such as [{lambda_1: 1.0}]"
        return [], [Problem("start_from", f"got {shown(points)}; {what}")]
    typed_ones, problems = [], []
    for index, point in enumerate(points):
        where = f"start_from.{index}"
        if not isinstance(point, dict):
            problems.append(Problem(where, f"got {shown(point)}; must be a mapping of searched parameters to values"))
            continue
        values, wrong = _typed_point(point, space, searched, where)
        typed_ones.append(values)
        problems += wrong
    return typed_ones, problems


def _typed_point(
    point: Mapping[str, Any], space: Space, searched: Mapping[str, Any], where: str
) -> tuple[dict[str, Value], list[Problem]]:
    values: dict[str, Value] = {}
    problems = []
    for name, given in point.items():
        try:
            if name not in searched:
                raise ValueError(f"is not searched{suggestion(name, searched)}")
            if name not in space:
                continue  # its range is wrong, which has been told
            value = space[name].inside(typed(name, given))
            if value is None:
                raise ValueError(f"got {shown(given)}; outside of search.{name}: {space[name]}")
            values[name] = value
        except ValueError as error:
            problems.append(Problem(f"{where}.{name}", str(error)))
    return values, problems


def check_point(values: Mapping[str, Value], space: Space, fixed: Mapping[str, Any], where: str) -> list[Problem]:
    """A start point may leave parameters to the sampler, but those that it gives must exist in it."""
    known = dict(fixed)
    for name in in_order_of_conditions(space):
        if exists(space[name], known):
            known[name] = values.get(name)
    problems = []
    for name in values:
        for other, allowed in (space[name].when or {}).items():
            if known[other] is None:
                what = f"exists only where {other} is {either(allowed)}; give {other} in this point, too"
            elif known[other] not in allowed:
                here = f"and here it is {shown(known[other])}; leave it out"
                what = f"exists only where {other} is {either(allowed)}, {here}"
            else:
                continue
            problems.append(Problem(f"{where}.{name}", what))
    return problems


def typed_rows(rows: Any) -> tuple[dict[str, dict[str, Value]], list[Problem]]:
    """The values of ``compare``, and what is wrong with it."""
    typed_ones: dict[str, dict[str, Value]] = {}
    problems = []
    for method, row in rows.items():
        if method not in METHODS:
            problems.append(Problem(f"compare.{method}", f"no such method{suggestion(method, METHODS)}"))
        elif not isinstance(row, dict):
            problems.append(
                Problem(f"compare.{method}", f"got {shown(row)}; must be a mapping of parameters to values")
            )
        else:
            typed_ones[method], wrong = typed_row(row, f"compare.{method}.")
            problems += wrong
    return typed_ones, problems


def typed_row(
    values: Mapping[str, Any], where: str, own: tuple[str, ...] = ()
) -> tuple[dict[str, Value], list[Problem]]:
    """Values by flat names, and what is wrong with them; ``where`` begins the path, ``own`` are further names."""
    found: dict[str, Value] = {}
    problems = []
    for name, value in values.items():
        known = [*(one for one in field_names() if one != "method"), *own]
        try:
            if name not in known:
                raise ValueError(f"no such parameter{suggestion(name, known)}")
            found[name] = typed(name, value)
        except ValueError as error:
            problems.append(Problem(f"{where}{name}", str(error)))
    return found, problems
