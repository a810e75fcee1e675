"""Which search an event log belongs to: a search has an id, and goes on only as what it was.

The id is made when the search begins. It stands in the header of its event log, on its runs in MLflow and in the path
of its checkpoints; only what carries it is ever resumed, written or cleared.
"""

import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eig_tune.config.constraints import Constraints, in_words, written
from eig_tune.config.objectives import as_far_as_known
from eig_tune.config.space import SearchSpec
from eig_tune.errors import ConfigError, Problem, ResultError, one_line
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.state import SearchState
from eig_tune.models.networks import INFOGAN
from eig_tune.training import TrainConfig
from eig_tune.training.config import with_named_networks
from eig_tune.workflows.notes import CONSTRAINTS_NOTE
from eig_tune.workflows.options import RunOptions, shared_places

logger = logging.getLogger(__name__)

# Why a search cannot go on with a difference, which is a path, what was there and what is there now; None where it can.
WhyNot = Callable[[SearchState, str, Any, Any], str | None]
_ID = re.compile("[0-9a-f]{32}")  # it becomes part of a path, so nothing else may be read from a file
_LONGEST_HEADER = 2**24  # bytes
# Of a space: what a search may be resumed with changed.
NOT_TRAITS = {"trials", "confirm", "compare", "constraints", "keep_checkpoints"}
TRIAL_SEED = "trial_seed"  # in the header of a search whose seed was changed: from which its trials' own seeds follow
_HEADER = b'{"event": "search"'  # as an event log has it
_ANOTHER = "give another --name for this"


def nothing_is_carried_over(state: SearchState, path: str, was: Any, is_now: Any) -> str | None:
    """Of a comparison or a suggestion, which go on as what they were."""
    return ""


def find_search(
    home: Home, options: RunOptions, traits: Mapping[str, Any], why_not: WhyNot = nothing_is_carried_over
) -> str:
    """The id of the search that is to go on, or a new one; makes nothing.

    Args:
        home: where it may be.
        options: its name, and whether it is to go on.
        traits: everything that makes its trials what they are.
        why_not: why it cannot go on with a difference; None where it can.

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
                _check(event_log, traits, f"--resume: {name!r}", why_not)
                _check_home(event_log.header, home, options)
                return str(event_log.header["id"])
    _refuse_leftovers(home, name)
    if options.resume:
        logger.info("--resume: %s has nothing called %r to go on with; it begins anew", one_line(home.path), name)
    return uuid.uuid4().hex


def begin_or_check(
    event_log: EventLog,
    search_id: str,
    traits: Mapping[str, Any],
    what: str,
    home: Home,
    why_not: WhyNot = nothing_is_carried_over,
) -> None:
    """Note to which search an event log belongs and in which home it lies, or refuse that of another search. Of one
    that goes on with differences it is noted what it is now.

    Raises:
        ResultError: it belongs to another search, or does not say to which.
        ConfigError: its search was another one; every difference is shown.
    """
    noted = {"id": search_id, "home": str(home.path), **traits}
    if event_log.header or event_log.trials:
        carried = _check(event_log, traits, what, why_not)
        if event_log.header["id"] != search_id:
            raise ResultError(
                f"{what} belongs to another search ({event_log.header['id']}, not {search_id}); {_ANOTHER}"
            )
        noted = {**event_log.header, **(_renewed(event_log.header, traits) if carried else {}), "home": noted["home"]}
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


def _renewed(header: Mapping[str, Any], traits: Mapping[str, Any]) -> dict[str, Any]:
    """The traits, and the seed from which the seeds of trials follow, where that is to be another one."""
    seed = header.get(TRIAL_SEED, _section(header, "spec").get("seed"))
    return {**traits, **({} if seed == _section(traits, "spec").get("seed") else {TRIAL_SEED: seed})}


def noted_header(home: Home, name: str) -> Mapping[str, Any]:
    """The newest header in the event log of the search ``name``, also while it runs; empty where there is none."""
    try:
        with home.event_log(name).open("rb") as file:
            lines = iter(lambda: file.readline(_LONGEST_HEADER), b"")
            return _header_in(next((line for line in reversed([*filter(_is_header, lines)])), b""))
    except OSError:
        return {}


def _is_header(line: bytes) -> bool:
    return line.startswith(_HEADER)


def _header_in(line: bytes) -> Mapping[str, Any]:
    try:
        header = json.loads(line)["header"]
    except (ValueError, KeyError, TypeError):
        return {}
    return header if isinstance(header, dict) else {}


def _noted_id(home: Home, name: str) -> str:
    """The id in the first header, which every other one has, too; no more is read of what may be a large file."""
    try:
        with home.event_log(name).open("rb") as file:
            return str(_header_in(file.readline(_LONGEST_HEADER)).get("id"))
    except OSError:
        return ""


def own_searches(home: Home, name: str | None) -> list[str]:
    """The ids of the home's searches of that name, or of all of them, that written to last first."""
    names = [name] if name is not None else home.searches()
    ids = [_noted_id(home, name) for name in names]
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


def _check(event_log: EventLog, traits: Mapping[str, Any], what: str, why_not: WhyNot) -> bool:
    """Refuse a search that cannot go on as what it is to be; whether it is another one that can."""
    header = event_log.header
    if not _ID.fullmatch(str(header.get("id"))):
        raise ResultError(f"{what} was begun by an earlier eig-tune, which gave it no id; {_ANOTHER}")
    before = {name: header.get(name) for name in traits}
    changed = _differences({**before, "spec": _completed(before.get("spec"))}, traits)
    reasons = {path: why_not(event_log, path, was, is_now) for path, was, is_now in changed}
    if refused := [
        Problem(
            path.removeprefix("spec."), f"was {was!r}, is now {is_now!r}{f'; {reasons[path]}' if reasons[path] else ''}"
        )
        for path, was, is_now in changed
        if reasons[path] is not None
    ]:
        raise ConfigError(f"{what} was another one; {_ANOTHER}", refused)
    return bool(changed)


def _refuse_leftovers(home: Home, name: str) -> None:
    """What stands beside an event log that is gone belongs to another search, and would be taken for this one's."""
    folder, event_log = home.study(name), home.event_log(name)
    files = folder.iterdir() if folder.is_dir() else ()
    if left := sorted(f.name for f in files if f != event_log and f.suffix != ".lock" and not f.name.startswith(".")):
        raise ResultError(
            f"{folder} has files of a search whose {event_log.name} is gone ({', '.join(left)}); "
            "move the folder away, or give another --name"
        )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Path, former and present value of each difference. Where the images lie and how they are made says nothing when
    they are the same images."""
    same_images = before.get("data") == now.get("data")
    return [change for change in _changes(before, now) if not (same_images and change[0].startswith("spec.dataset."))]


def _changes(before: Any, now: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*before, *(key for key in now if key not in before)]
        return [c for key in keys for c in _changes(before.get(key), now.get(key), f"{path}.{key}".strip("."))]
    return [] if before == now else [(path, before, now)]
