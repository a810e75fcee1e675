"""The champion of a registered model: the version with that alias, and the rule by which another one replaces it."""

import math
from collections.abc import Mapping

from eig_tune.config.constraints import Constraints, in_words
from eig_tune.hpo.candidates import CONFIRMED
from eig_tune.hpo.objectives import missed
from eig_tune.tracking.client import readable_errors
from eig_tune.tracking.store import Store
from eig_tune.tracking.tags import DATA_TAG

CHAMPION = "champion"

Tags = Mapping[str, str]


def set_champion(
    store: Store,
    name: str,
    number: int,
    tags: Tags,
    metric: str,
    direction: str,
    constraints: Constraints,
    force: bool,
) -> tuple[bool, str]:
    """Give the alias ``champion`` to a version if it is better than the present champion, or if ``force`` is given.

    Args:
        store: where the model is registered.
        name: the registered model's.
        number: of the version.
        tags: the version's: its data, and what it has reached.
        metric: by which the two are compared.
        direction: of the metric.
        constraints: of the version's search.
        force: whatever the comparison says.

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
            champion = store.client.get_model_version(name, present).tags
            is_better, why = compare(tags, champion, metric, direction, constraints)
        if is_better or force:
            store.client.set_registered_model_alias(name, CHAMPION, str(number))
            forced = "" if is_better else f", by --force instead of version {present}"
            return True, f"version {number} is the champion of {name} now{forced}: {why}"
    return False, f"version {present} stays the champion of {name}: {why}; --force overrides"


def compare(tags: Tags, champion: Tags, metric: str, direction: str, constraints: Constraints) -> tuple[bool, str]:
    """Compare a version with the champion: by the constraints first, as a search does, then by one metric.

    Confirmed means are compared where both have them, else the values found. A found value is subject to selection
    bias, so a version that is not confirmed never beats one that is. Versions of other data, or without the metric, are
    not better.

    Returns:
        Whether the version with ``tags`` is better, and a phrase that says why.
    """
    data = tags.get(DATA_TAG, "unknown")
    if data == "unknown" or data != champion.get(DATA_TAG):
        return False, "the two were trained on different data and cannot be compared"
    is_confirmed = [_value(of, f"{CONFIRMED}{metric}") is not None for of in (tags, champion)]
    if is_confirmed == [False, True]:
        theirs = _value(champion, f"{CONFIRMED}{metric}")
        return False, f"the champion is confirmed ({metric} {theirs:.4f}), and this is not"
    prefix, kind = (CONFIRMED, "confirmed") if all(is_confirmed) else ("", "found")
    ours, theirs = (_value(of, f"{prefix}{metric}") for of in (tags, champion))
    if ours is None or theirs is None:
        return False, f"{'this' if ours is None else 'the champion'} has no {metric}, so the two cannot be compared"
    ours_misses, theirs_misses = (_misses(of, prefix, constraints) for of in (tags, champion))
    if bool(ours_misses) != bool(theirs_misses):
        misses = f"this misses {ours_misses}" if ours_misses else f"the champion misses {theirs_misses}"
        return not ours_misses, f"{misses} (both {kind})"
    better = ours > theirs if direction == "maximize" else ours < theirs
    verb = "beats" if better else "does not beat"
    return better, f"{metric} {ours:.4f} {verb} the champion's {theirs:.4f} (both {kind})"


def _misses(tags: Tags, prefix: str, constraints: Constraints) -> str:
    """The constraints that a version does not meet, in words."""
    values = {name: _value(tags, f"{prefix}{name}") for name in constraints}
    known = {name: value for name, value in values.items() if value is not None}
    return in_words({name: constraints[name] for name in missed(known, constraints)})


def _value(tags: Tags, name: str) -> float | None:
    try:
        value = float(tags[name])
    except (KeyError, ValueError):  # users can edit tags
        return None
    return value if math.isfinite(value) else None
