"""The strict base of every configuration section, and pydantic's complaints as readable problems."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from eig_tune.errors import Problem

MOST = 10**9  # of steps, trials and whatever else is counted: none needs more, and 64 bits hold its products


class Section(BaseModel):
    """A frozen section of the YAML: unknown keys, NaN, infinities, and true where a number belongs are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number_is_true(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and _takes_numbers(cls.model_fields[str(info.field_name)].annotation):
            raise PydanticCustomError("true_for_number", "must be a number, not true or false")
        return value


def _takes_numbers(annotation: Any) -> bool:
    """Whether a field declared so has numbers: ``int``, ``float | None`` or ``Literal[1, 3]``."""
    return annotation in (int, float) or type(annotation) is int or any(map(_takes_numbers, get_args(annotation)))


_PLAIN_WORDS = {
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list, such as [1, 2]",
    "too_short": "must have at least one entry",
    "string_type": "must be a word",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "finite_number": "must be a finite number",
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "must be a whole number"),
}


def problems_of(error: ValidationError, sections: Mapping[str, type[BaseModel]]) -> list[Problem]:
    """Every complaint of ``error`` as a :class:`Problem` with the key's path, the value and the remedy.

    Args:
        sections: the model behind every first key of a path; "" is the whole document's.
    """
    return [Problem(_path(detail), _sentence(detail, sections)) for detail in error.errors()]


def _path(detail: ErrorDetails) -> str:
    # Parts in angle brackets are tags of a union, not keys that somebody wrote.
    parts = [str(part) for part in detail["loc"] if not str(part).startswith(("<", "function-"))]
    return ".".join(parts) or "(the file)"


def _sentence(detail: ErrorDetails, sections: Mapping[str, type[BaseModel]]) -> str:
    if detail["type"] == "extra_forbidden":
        section = sections.get(str(detail["loc"][0]) if len(detail["loc"]) > 1 else "")
        return "unknown key" + suggestion(str(detail["loc"][-1]), section.model_fields if section else ())
    if detail["type"] == "missing":
        return "missing; please add it"
    message = _PLAIN_WORDS.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    return f"got {shown(detail['input'])}; {message[:1].lower()}{message[1:]}"


def shown(value: object) -> str:
    """A value as its owner would recognise it, on one line and cut when it is long."""
    if value is None:
        return "nothing"
    text = repr(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """``"; did you mean …?"`` when a known name is close, else the list of known names."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known keys: {', '.join(known)}" if known else ""
