"""JSON for other people's programs: strict, so that every language reads it."""

import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(document: Any, indent: int | None = None, *, ensure_ascii: bool = True) -> str:
    """The document as JSON text, its parameters as those of :func:`json.dumps`.

    NaN and infinities, which JSON does not have although Python writes them, become null.
    """
    return json.dumps(_finite(document), indent=indent, allow_nan=False, ensure_ascii=ensure_ascii)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
