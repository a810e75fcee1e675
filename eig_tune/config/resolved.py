"""A space with everything that it leaves out: each value, and where it comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from eig_tune.config.space import SearchSpec
from eig_tune.config.unused import why_no_trial_uses
from eig_tune.schema import Section

Origin = Literal["given", "default", "searched"]
_SECTIONS = ("model", "train", "augment")


@dataclass(frozen=True)
class Resolved:
    """A key of a space by its dotted path, its value as text, and whether it was given or is the default; a field that
    is searched has its range, and stands where it would be fixed.

    Attributes:
        note: why no trial uses it, or what the images have made of it; empty else.
    """

    key: str
    value: str
    origin: Origin
    note: str = ""


def resolved(spec: SearchSpec, made: Mapping[str, object]) -> list[Resolved]:
    """Every value of a space, in the order of its sections.

    Args:
        spec: the space.
        made: what the images have made of values that the space leaves to them, by dotted path.
    """
    unused, rows = why_no_trial_uses(spec), list[Resolved]()
    for name, value in spec:
        if isinstance(value, Section):
            rows += _section(spec, name, value, made, unused)
        elif name != "search":
            rows += _plain(spec, name, value if name in spec.model_fields_set else made.get(name, value))
    return rows


def _section(
    spec: SearchSpec, name: str, section: Section, made: Mapping[str, object], unused: Mapping[str, str]
) -> Iterator[Resolved]:
    for field, value in section:
        key = f"{name}.{field}"
        if name in _SECTIONS and field in spec.search:
            yield Resolved(f"search.{field}", str(spec.search[field]), "searched")
            continue
        note = unused.get(field, "") if name in _SECTIONS else ""
        if key in made and str(made[key]) != _text(value):
            note = f"{made[key]} for these images"
        yield Resolved(key, _text(value), _origin(field, section), note)


def _plain(spec: SearchSpec, name: str, value: Any) -> Iterator[Resolved]:
    if name == "method" and name in spec.search:
        yield Resolved("search.method", str(spec.search[name]), "searched")
        return
    origin = _origin(name, spec)
    if isinstance(value, Mapping) and value:
        yield from (Resolved(f"{name}.{key}", _text(each), origin) for key, each in value.items())
    elif isinstance(value, tuple) and value:
        yield from (Resolved(f"{name}.{number}", _text(each), origin) for number, each in enumerate(value))
    else:
        yield Resolved(name, _text(value), origin)


def _origin(name: str, section: Section) -> Origin:
    return "given" if name in section.model_fields_set else "default"


def _text(value: Any) -> str:
    """As YAML would have it, about."""
    if value is None:
        return "—"
    if isinstance(value, Section):
        return _text(value.model_dump())
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_text(each)}" for name, each in value.items()) + "}" if value else "none"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]" if value else "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
