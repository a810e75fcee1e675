"""Conditions between searched parameters: which of them exist in a trial, and in which order they are drawn."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from eig_tune.config.distributions import Distribution
from eig_tune.training.config import ParamValue

if TYPE_CHECKING:
    from optuna import Trial


def exists(distribution: Distribution, known: Mapping[str, Any]) -> bool:
    """Whether the distribution's condition holds for the values known so far."""
    return all(known.get(name) in allowed for name, allowed in (distribution.when or {}).items())


def in_order_of_conditions(space: Mapping[str, Distribution]) -> list[str]:
    """Names such that every parameter comes after those that its condition names.

    Raises:
        ValueError: conditions go round in a circle.
    """
    ordered: list[str] = []
    waiting = list(space)
    while waiting:
        ready = [name for name in waiting if not (set(space[name].when or {}) & set(waiting))]
        if not ready:
            raise ValueError(f"the `when` conditions of {', '.join(waiting)} go round in a circle")
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered


def draw(trial: "Trial", space: Mapping[str, Distribution], fixed: Mapping[str, Any]) -> dict[str, ParamValue]:
    """Params of one trial: a value for every parameter of ``space`` whose condition holds.

    Args:
        trial: Optuna's, which proposes the values.
        space: the searched parameters.
        fixed: the unsearched fields by their flat names.
    """
    params: dict[str, ParamValue] = {}
    for name in in_order_of_conditions(space):
        if exists(space[name], {**fixed, **params}):
            params[name] = space[name].nearest(trial._suggest(name, space[name].for_optuna()))
    return params


def combinations(
    space: Mapping[str, Distribution], fixed: Mapping[str, Any], names: set[str]
) -> Iterator[dict[str, Any]]:
    """Every combination of values that trials can have of ``names`` and of what decides whether they exist.

    Each combination has the unsearched fields as well. Where a range has more values than conditions name, all others
    stand together as None.
    """
    deciding = _with_conditions(space, names)
    waiting = [name for name in in_order_of_conditions(space) if name in deciding]

    def further(known: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
        if depth == len(waiting):
            yield known
            return
        name = waiting[depth]
        values = _distinct_values(space, name) if exists(space[name], known) else (known.get(name),)
        for value in values:
            yield from further({**known, name: value}, depth + 1)

    return further(dict(fixed), 0)


def _with_conditions(space: Mapping[str, Distribution], names: set[str]) -> set[str]:
    found, new = set[str](), names
    while new:
        found |= new
        new = {other for name in new if name in space for other in (space[name].when or {})} - found
    return found


def _distinct_values(space: Mapping[str, Distribution], name: str) -> tuple[ParamValue | None, ...]:
    distribution = space[name]
    if distribution.choice is not None:
        return distribution.choice
    named = {value for one in space.values() for value in (one.when or {}).get(name, ())}
    on_a_grid = distribution.whole or distribution.quniform is not None
    inside = (distribution.inside(value) for value in named if on_a_grid)
    return (*(value for value in inside if value is not None), None)
