"""Which version of a registered model is its champion."""

import math
from collections.abc import Mapping

from eig_tune.hpo.selection import CONFIRMED
from eig_tune.tracking.store import Store, readable_errors

CHAMPION = "champion"
DATA_TAG = "data_sha256"

Tags = Mapping[str, str]


def crown(
    store: Store, name: str, number: int, tags: Tags, metric: str, direction: str, force: bool
) -> tuple[bool, str]:
    """Give the alias ``champion`` to a version when it has earned it, or when ``force`` is given.

    Returns:
        Whether the version is the champion now, and a sentence that says why.

    Raises:
        TrackingError: the store cannot be reached.
    """
    with readable_errors(store.uri):
        present = store.client.get_registered_model(name).aliases.get(CHAMPION)
        if present is not None and int(present) == number:
            return True, f"version {number} is the champion of {name} already"
        if present is None:
            earned, told = True, "there was none before"
        else:
            earned, told = compare(tags, store.client.get_model_version(name, present).tags, metric, direction)
        if earned or force:
            store.client.set_registered_model_alias(name, CHAMPION, str(number))
            forced = "" if earned else f", by --force instead of version {present}"
            return True, f"version {number} is the champion of {name} now{forced}: {told}"
    return False, f"version {present} stays the champion of {name}: {told}; --force overrides"


def compare(tags: Tags, champion: Tags, metric: str, direction: str) -> tuple[bool, str]:
    """Whether a version with ``tags`` is better than the champion by one metric, and why in words.

    Like is compared with like: confirmed means where both have them, else what was found. A found value is the luckiest
    of many, so a version that is not confirmed never beats one that is. Versions of other data, or without the metric,
    are not better.
    """
    data = tags.get(DATA_TAG, "unknown")
    if data == "unknown" or data != champion.get(DATA_TAG):
        return False, "the two were trained on different data and cannot be compared"
    confirmed = f"{CONFIRMED}{metric}"
    ours, theirs = _value(tags, confirmed), _value(champion, confirmed)
    if theirs is not None and ours is None:
        return False, f"the champion is confirmed ({metric} {theirs:.4f}), and this is not"
    kind = "found" if ours is None or theirs is None else "confirmed"
    if kind == "found":
        ours, theirs = _value(tags, metric), _value(champion, metric)
    if ours is None or theirs is None:
        return False, f"{'this' if ours is None else 'the champion'} has no {metric}, so the two cannot be compared"
    better = ours > theirs if direction == "maximize" else ours < theirs
    verb = "beats" if better else "does not beat"
    return better, f"{metric} {ours:.4f} {verb} the champion's {theirs:.4f} (both {kind})"


def _value(tags: Tags, name: str) -> float | None:
    try:
        value = float(tags[name])
    except (KeyError, ValueError):  # tags can be edited by anybody
        return None
    return value if math.isfinite(value) else None
