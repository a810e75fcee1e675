"""The champion of a registered model: the version with that alias, and the rule by which another one replaces it."""

import math
from collections.abc import Mapping

from eig_tune.hpo.candidates import CONFIRMED
from eig_tune.tracking.client import readable_errors
from eig_tune.tracking.store import Store
from eig_tune.tracking.tags import DATA_TAG

CHAMPION = "champion"

Tags = Mapping[str, str]


def set_champion(
    store: Store, name: str, number: int, tags: Tags, metric: str, direction: str, force: bool
) -> tuple[bool, str]:
    """Give the alias ``champion`` to a version if it is better than the present champion, or if ``force`` is given.

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
            is_better, why = True, "there was none before"
        else:
            is_better, why = compare(tags, store.client.get_model_version(name, present).tags, metric, direction)
        if is_better or force:
            store.client.set_registered_model_alias(name, CHAMPION, str(number))
            forced = "" if is_better else f", by --force instead of version {present}"
            return True, f"version {number} is the champion of {name} now{forced}: {why}"
    return False, f"version {present} stays the champion of {name}: {why}; --force overrides"


def compare(tags: Tags, champion: Tags, metric: str, direction: str) -> tuple[bool, str]:
    """Compare a version with the champion by one metric.

    Confirmed means are compared where both have them, else the values found. A found value is subject to selection
    bias, so a version that is not confirmed never beats one that is. Versions of other data, or without the metric, are
    not better.

    Returns:
        Whether the version with ``tags`` is better, and a phrase that says why.
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
    except (KeyError, ValueError):  # users can edit tags
        return None
    return value if math.isfinite(value) else None
