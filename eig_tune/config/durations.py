"""Lengths of time as people write them."""

import re

from eig_tune.errors import ConfigError, Problem

_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_FORM = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")


def parse_duration(text: str, where: str) -> float:
    """Seconds of ``90m``, ``2h``, ``1h30m`` or ``45s``.

    Raises:
        ConfigError: it is none of these, or no time at all.
    """
    compact = text.replace(" ", "").lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", compact) if _FORM.fullmatch(compact) else []
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not seconds:
        raise ConfigError("eig-tune", [Problem(where, f"got {text!r}; write 2h, 90m, 1h30m or 45s")])
    return seconds


def duration_in_words(seconds: float) -> str:
    """``40 s``, ``15 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
