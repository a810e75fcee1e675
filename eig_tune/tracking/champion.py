"""Which version of a registered model is its champion."""

import math
from collections.abc import Mapping

from eig_tune.tracking.reader import CONFIRMED
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
    """Whether a version with ``tags`` is better than the champion by one metric, and the two values in words.

    The confirmed mean counts where there is one. Versions of other data, or without the metric, are not better.
    """
    data = tags.get(DATA_TAG, "unknown")
    if data == "unknown" or data != champion.get(DATA_TAG):
        return False, "the two were trained on different data and cannot be compared"
    ours, theirs = _reached(tags, metric), _reached(champion, metric)
    if ours is None or theirs is None:
        return False, f"{'this' if ours is None else 'the champion'} has no {metric}, so the two cannot be compared"
    better = ours[0] > theirs[0] if direction == "maximize" else ours[0] < theirs[0]
    verb = "beats" if better else "does not beat"
    return better, f"{metric} {ours[0]:.4f} ({ours[1]}) {verb} the champion's {theirs[0]:.4f} ({theirs[1]})"


def _reached(tags: Tags, metric: str) -> tuple[float, str] | None:
    for name, kind in ((f"{CONFIRMED}{metric}", "confirmed"), (metric, "found")):
        try:
            value = float(tags[name])
        except (KeyError, ValueError):  # tags can be edited by anybody
            continue
        if math.isfinite(value):
            return value, kind
    return None
