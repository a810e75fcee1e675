"""Which search an event log belongs to: a search has an id, and goes on only as what it was.

The id is made when the search begins. It stands in the header of its event log, on its runs in MLflow and in the path
of its checkpoints; only what carries it is ever resumed, written or cleared.
"""

import json
import logging
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eig_tune.config.constraints import Constraints, in_words, written
from eig_tune.config.objectives import as_far_as_known
from eig_tune.config.space import SearchSpec
from eig_tune.errors import ConfigError, Problem, ResultError, one_line
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.models.networks import INFOGAN
from eig_tune.training import TrainConfig
from eig_tune.training.config import with_named_networks
from eig_tune.workflows.notes import CONSTRAINTS_NOTE
from eig_tune.workflows.options import RunOptions, shared_places

logger = logging.getLogger(__name__)

_ID = re.compile("[0-9a-f]{32}")  # it becomes part of a path, so nothing else may be read from a file
_LONGEST_HEADER = 2**24  # bytes
NOT_TRAITS = {"trials", "confirm", "compare", "constraints"}  # of a space: what a search may be resumed with changed
_ANOTHER = "give another --name for this"


def find_search(home: Home, options: RunOptions, traits: Mapping[str, Any]) -> str:
    """The id of the search that is to go on, or a new one; makes nothing.

    Args:
        traits: everything that makes its trials what they are.

    Raises:
        ResultError: the home has a search of that name which is not to be resumed, is running, has no id, or is a copy
            that would disturb its original.
        ConfigError: the search that is to go on was another one; every difference is shown.
    """
    name, file = options.name, home.event_log(options.name)
    if file.is_file():
        with EventLog(file) as event_log:
            if event_log.header or event_log.trials:
                if not options.resume:
                    raise ResultError(
                        f"--name: there is {name!r} already; go on with it by --resume, or give another name"
                    )
                _check(event_log.header, traits, f"--resume: {name!r}")
                _check_home(event_log.header, home, options)
                return str(event_log.header["id"])
    _refuse_leftovers(home, name)
    if options.resume:
        logger.info("--resume: %s has nothing called %r to go on with; it begins anew", one_line(home.path), name)
    return uuid.uuid4().hex


def begin_or_check(event_log: EventLog, search_id: str, traits: Mapping[str, Any], what: str, home: Home) -> None:
    """Note to which search an event log belongs and in which home it lies, or refuse that of another search.

    Raises:
        ResultError: it belongs to another search, or does not say to which.
        ConfigError: its search was another one; every difference is shown.
    """
    noted = {"id": search_id, "home": str(home.path), **traits}
    if event_log.header or event_log.trials:
        _check(event_log.header, traits, what)
        if event_log.header["id"] != search_id:
            raise ResultError(
                f"{what} belongs to another search ({event_log.header['id']}, not {search_id}); {_ANOTHER}"
            )
        noted = {**event_log.header, "home": noted["home"]}
    if event_log.header != noted:
        event_log.begin(noted)


def note_constraints(event_log: EventLog, constraints: Constraints) -> bool:
    """Note the constraints of a search, which may be others than those that it had before: what they decide is derived
    from the event log anew. Only which trials were proposed so far cannot be changed, which is logged.

    Returns:
        Whether they have changed.
    """
    before, now = event_log.notes.get(CONSTRAINTS_NOTE, {}), written(constraints)
    if before == now:
        return False
    if event_log.trials:
        logger.info(
            "constraints were %s, are now %s: the %d trials so far were proposed under the earlier ones and are judged "
            "by the new ones, under which all further trials are proposed",
            one_line(in_words(before)) or "none",
            in_words(now) or "none",
            len(event_log.trials),
        )
    event_log.note({CONSTRAINTS_NOTE: now})
    return True


def noted_header(home: Home, name: str) -> Mapping[str, Any]:
    """What the event log of the search ``name`` begins with, also while it runs; empty where there is none."""
    try:
        with home.event_log(name).open("rb") as file:
            header = json.loads(file.readline(_LONGEST_HEADER))["header"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return header if isinstance(header, dict) else {}


def own_searches(home: Home, name: str | None) -> list[str]:
    """The ids of the home's searches of that name, or of all of them, that written to last first."""
    names = [name] if name is not None else home.searches()
    ids = [str(noted_header(home, name).get("id")) for name in names]
    return [search_id for search_id in ids if _ID.fullmatch(search_id)]


def noted_start_points(home: Home, name: str, spec: SearchSpec) -> tuple[Any, ...] | None:
    """With what the search ``name`` has begun, if that goes on from the space's own points; None if it has not begun.

    What it was warmed up by may have found better trials since, which makes it no other search.
    """
    noted = noted_header(home, name).get("spec", {}).get("start_from", [])
    own = [dict(point) for point in spec.start_from]
    return tuple(noted) if noted[: len(own)] == own and len(noted) > len(own) else None


def as_begun(spec: SearchSpec, home: Home, name: str) -> SearchSpec:
    """The space of the search, comparison or suggestion ``name`` that goes on: where it names no objectives or no
    networks, with those that it has begun with.

    What the default is may be another version's matter, which makes it no other search.
    """
    noted = noted_header(home, name).get("spec")
    if not isinstance(noted, dict):
        return spec
    begun: dict[str, Any] = {}
    objectives = as_far_as_known(noted.get("objectives"))
    if not spec.names_objectives and objectives is not None:
        begun["objectives"] = objectives
    if "network" not in spec.model.model_fields_set and "network" not in _section(noted, "model"):
        begun["model"] = spec.model.model_copy(update={"network": INFOGAN})
    return spec.model_copy(update=begun) if begun else spec


def _section(noted: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = noted.get(name)
    return section if isinstance(section, Mapping) else {}


def _completed(noted: Any) -> Any:
    """The space that an event log has noted, with the fields that its version did not have yet as runs had them."""
    if not isinstance(noted, Mapping):
        return noted
    usual = with_named_networks(TrainConfig().model_dump(mode="json", exclude={"model": {"network"}}))
    return {
        **noted,
        **{
            name: {**usual[name], **section}
            for name in ("model", "train", "augment")
            if isinstance(section := noted.get(name), Mapping)
        },
    }


def _check_home(header: Mapping[str, Any], home: Home, options: RunOptions) -> None:
    """Two homes must not go on with one search where both would write to one place and clear it."""
    before = Home(Path(str(header.get("home", home.path))))
    shared = " and ".join(shared_places(options, home))
    if before.path == home.path or not shared:
        return
    original, event_log = before.event_log(options.name), home.event_log(options.name)
    if noted_header(before, options.name).get("id") == header["id"] and not original.samefile(event_log):
        raise ResultError(
            f"--home: {home.path} is a copy of {one_line(before.path)}, and {options.name!r} of both would write to "
            f"{shared}; go on there, or give another --name"
        )
    logger.info(
        "this search was begun in %s; if that home is still used, go on in one of the two only: both would write to %s",
        one_line(before.path),
        one_line(shared),
    )


def _check(header: Mapping[str, Any], traits: Mapping[str, Any], what: str) -> None:
    if not _ID.fullmatch(str(header.get("id"))):
        raise ResultError(f"{what} was begun by an earlier eig-tune, which gave it no id; {_ANOTHER}")
    before = {name: header.get(name) for name in traits}
    if changed := _differences({**before, "spec": _completed(before.get("spec"))}, traits):
        raise ConfigError(f"{what} was another one; {_ANOTHER}", changed)


def _refuse_leftovers(home: Home, name: str) -> None:
    """What stands beside an event log that is gone belongs to another search, and would be taken for this one's."""
    folder, event_log = home.study(name), home.event_log(name)
    files = folder.iterdir() if folder.is_dir() else ()
    if left := sorted(f.name for f in files if f != event_log and f.suffix != ".lock" and not f.name.startswith(".")):
        raise ResultError(
            f"{folder} has files of a search whose {event_log.name} is gone ({', '.join(left)}); "
            "move the folder away, or give another --name"
        )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    """Where the images lie and how they are made says nothing when they are the same images."""
    same_images = before.get("data") == now.get("data")
    return [
        Problem(path.removeprefix("spec."), f"was {was!r}, is now {is_now!r}")
        for path, was, is_now in _changes(before, now)
        if not (same_images and path.startswith("spec.dataset."))
    ]


def _changes(before: Any, now: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*before, *(key for key in now if key not in before)]
        return [c for key in keys for c in _changes(before.get(key), now.get(key), f"{path}.{key}".strip("."))]
    return [] if before == now else [(path, before, now)]
