"""Checks of the sections that name fields flat: ``search``, ``start_from`` and ``compare``.

Each check returns the section with every value converted to the type of its field, and a problem for every key that is
wrong. A YAML file may have text for a number in quotes, a whole number for a weight, or a word for a switch; what the
checks return has none of these.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from eig_tune.config.conditions import combinations, exists, in_order_of_conditions
from eig_tune.config.distributions import Distribution, either
from eig_tune.errors import Problem
from eig_tune.models import METHODS
from eig_tune.schema import problems_of, shown, suggestion
from eig_tune.training import TrainConfig
from eig_tune.training.config import ParamValue, coerce, field_names

_BUDGET = ("steps", "report_every")
_SECTIONS = ("model", "train", "augment")
Space = Mapping[str, Distribution]


def fixed_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of a run by its flat name, as the document sets it; a field whose value is wrong has its default."""
    fields = TrainConfig().flat()
    sections = [section for name in _SECTIONS if isinstance(section := document.get(name), dict)]
    for section in (document, *sections):
        for name in fields.keys() & section.keys():
            try:
                fields[name] = coerce(name, section[name])
            except ValueError:
                continue
    return fields


def check_search(entries: Any, fixed: Mapping[str, Any]) -> tuple[dict[str, Distribution], list[Problem]]:
    """The well-formed entries of ``search``, and what is wrong with the others and with the conditions.

    Args:
        entries: the section as the document has it; one that is no mapping is reported elsewhere.
        fixed: every field by its flat name, as it is where it is not searched.
    """
    space: dict[str, Distribution] = {}
    problems: list[Problem] = []
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            distribution = _distribution(name, entry)
        except ValueError as error:
            problems += _below(f"search.{name}", error)
            continue
        space[name], wrong = _coerce_conditions(distribution, f"search.{name}.when")
        problems += wrong
    return space, problems or _check_conditions(space, fixed)


def searchable_fields() -> list[str]:
    """Every field that may stand in ``search``, by its flat name."""
    return [name for name in field_names() if name not in _BUDGET]


def _distribution(name: str, entry: Any) -> Distribution:
    if name == "seed":
        raise ValueError("each trial has a seed of its own; set the top-level `seed` for that of the search")
    if name in _BUDGET:
        raise ValueError("is the budget of a trial, which rungs count in; set it under `train`")
    if name not in field_names():
        raise ValueError(f"no such parameter{suggestion(name, searchable_fields())}")
    if not isinstance(entry, dict):
        what = "write a range, such as {uniform: [1, 5]} or {choice: [1, 5]}, or set the value outside of `search`"
        raise ValueError(f"got {shown(entry)}; {what}")
    return Distribution.model_validate(entry).for_field(name)


def _below(where: str, error: ValueError) -> list[Problem]:
    if not isinstance(error, ValidationError):
        return [Problem(where, str(error))]
    found = problems_of(error, {"": Distribution})
    return [Problem(where if p.where == "(the file)" else f"{where}.{p.where}", p.what) for p in found]


def _coerce_conditions(distribution: Distribution, where: str) -> tuple[Distribution, list[Problem]]:
    conditions: dict[str, tuple[ParamValue, ...]] = {}
    problems = []
    for other, allowed in (distribution.when or {}).items():
        try:
            conditions[other] = tuple(dict.fromkeys(_of_field(other, value) for value in allowed))
        except ValueError as error:
            problems.append(Problem(f"{where}.{other}", str(error)))
    return distribution.model_copy(update={"when": conditions or None}), problems


def _of_field(name: str, value: Any) -> ParamValue:
    if name not in field_names():
        raise ValueError(f"no such parameter{suggestion(name, field_names())}")
    return coerce(name, value)


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


def check_points(
    points: Any, space: Space, searched: Mapping[str, Any]
) -> tuple[list[dict[str, ParamValue]], list[Problem]]:
    """The points of ``start_from``, and what is wrong with them.

    Args:
        points: the section as the document has it.
        space: the well-formed entries of ``search``.
        searched: the section ``search`` as the document has it.
    """
    if not isinstance(points, list | tuple):
        what = "must be a list of points, such as [{lambda_1: 1.0}]"
        return [], [Problem("start_from", f"got {shown(points)}; {what}")]
    checked, problems = [], []
    for index, point in enumerate(points):
        where = f"start_from.{index}"
        if not isinstance(point, dict):
            problems.append(Problem(where, f"got {shown(point)}; must be a mapping of searched parameters to values"))
            continue
        params, wrong = _check_point(point, space, searched, where)
        checked.append(params)
        problems += wrong
    return checked, problems


def _check_point(
    point: Mapping[str, Any], space: Space, searched: Mapping[str, Any], where: str
) -> tuple[dict[str, ParamValue], list[Problem]]:
    params: dict[str, ParamValue] = {}
    problems = []
    for name, given in point.items():
        try:
            if name not in searched:
                raise ValueError(f"is not searched{suggestion(name, searched)}")
            if name not in space:
                continue  # its range is wrong, which is reported at `search`
            value = space[name].inside(coerce(name, given))
            if value is None:
                raise ValueError(f"got {shown(given)}; outside of search.{name}: {space[name]}")
            params[name] = value
        except ValueError as error:
            problems.append(Problem(f"{where}.{name}", str(error)))
    return params, problems


def check_that_params_exist(
    params: Mapping[str, ParamValue], space: Space, fixed: Mapping[str, Any], where: str
) -> list[Problem]:
    """A start point may leave parameters to the sampler, but the conditions of those that it gives must hold in it.

    Args:
        params: the point, checked by itself.
        space: the searched parameters.
        fixed: every field by its flat name, as it is where it is not searched.
        where: the path of the point, for problems.
    """
    known = dict(fixed)
    for name in in_order_of_conditions(space):
        if exists(space[name], known):
            known[name] = params.get(name)
    problems = []
    for name in params:
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


def check_rows(rows: Any) -> tuple[dict[str, dict[str, ParamValue]], list[Problem]]:
    """The rows of ``compare``, and what is wrong with them; ``rows`` is the section as the document has it."""
    checked: dict[str, dict[str, ParamValue]] = {}
    problems = []
    for method, row in rows.items():
        if method not in METHODS:
            problems.append(Problem(f"compare.{method}", f"no such method{suggestion(method, METHODS)}"))
        elif not isinstance(row, dict):
            problems.append(
                Problem(f"compare.{method}", f"got {shown(row)}; must be a mapping of parameters to values")
            )
        else:
            checked[method], wrong = check_params(row, f"compare.{method}.")
            problems += wrong
    return checked, problems


def check_params(
    params: Mapping[str, Any], where: str, own: tuple[str, ...] = ()
) -> tuple[dict[str, ParamValue], list[Problem]]:
    """Fields that are set by their flat names, and what is wrong with them.

    Args:
        params: names and values as a person wrote them.
        where: what the path of a problem begins with.
        own: names that are allowed besides those of fields, apart from ``method``.
    """
    checked: dict[str, ParamValue] = {}
    problems = []
    for name, value in params.items():
        known = [*(one for one in field_names() if one != "method"), *own]
        try:
            if name not in known:
                raise ValueError(f"no such parameter{suggestion(name, known)}")
            checked[name] = coerce(name, value)
        except ValueError as error:
            problems.append(Problem(f"{where}{name}", str(error)))
    return checked, problems
