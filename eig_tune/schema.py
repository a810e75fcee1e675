"""The strict base of every configuration section, and pydantic's complaints as readable problems."""

import difflib
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from eig_tune.errors import Problem


class Section(BaseModel):
    """A frozen section of the YAML: unknown keys, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


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
    message = detail["msg"].removeprefix("Value error, ")
    return f"got {_shown(detail['input'])}; {message[:1].lower()}{message[1:]}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """``"; did you mean …?"`` when a known name is close, else the list of known names."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known keys: {', '.join(known)}" if known else ""
