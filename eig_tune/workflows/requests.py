"""What any shell that sees a home may ask of a search in it: to end, and to try a trial of a person's own.

A request is a file in the search's folder, so that it does not matter on which machine the search runs. The process
that runs it looks for both files once a second (:meth:`eig_tune.stopping.Stop.heeding`, :mod:`eig_tune.hpo.added`).
"""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from eig_tune.config.checks import check_points, check_search, check_that_params_exist, fixed_fields
from eig_tune.errors import ConfigError, Problem, ResultError, StorageError
from eig_tune.home import Home
from eig_tune.hpo import added
from eig_tune.hpo.lock import this_process
from eig_tune.workflows.overview import Overview, look_at

_LOOK_EVERY_SECONDS = 0.2
_TAKEN_WITHIN_SECONDS = 15.0
_FIRST = "start_from.0"  # where checks of a single point say that it lies


def ask_to_stop(home: Home, name: str, patience: float, on_asked: Callable[[Overview], None]) -> Overview:
    """Ask the process that runs a search to end gently, and wait until it has.

    Args:
        home: where the search lies.
        name: of the search.
        patience: for how many seconds to wait.
        on_asked: called when it has been asked; not called where no process runs the search.

    Returns:
        The search as it is afterwards.

    Raises:
        ResultError: there is no such search, or it has not ended by then; it remains asked.
        StorageError: the home cannot be written.
    """
    before = look_at(home, name)
    if before.standing != "running":
        return before
    request = home.stop_request(name)
    written = request.with_suffix(f".{os.getpid()}")
    try:
        written.write_text(this_process())
        written.replace(request)
    except OSError as error:
        raise StorageError(f"{request} cannot be written ({error.strerror or error})") from error
    on_asked(before)
    if _wait(lambda: look_at(home, name).lock.owner != before.lock.owner, patience):
        return look_at(home, name)
    raise ResultError(
        f"{name}: {before.lock.owner} has been asked to end and has not within {patience:.0f} s; it may still do so, "
        f"when the present step of its work is done. If that process is gone, delete {request.parent / 'events.lock'}"
    )


def add_trial(home: Home, name: str, params: Mapping[str, Any]) -> tuple[Mapping[str, Any], int | None]:
    """Ask a search to try a trial of a person's own. A search that runs does so next; another one when it goes on.

    Args:
        home: where the search lies.
        name: of the search.
        params: some or all of what the space searches, inside its ranges; the sampler chooses the others.

    Returns:
        The params as the search has them, and the number of their trial; None while it has not taken them.

    Raises:
        ResultError: there is no such search, or it is a comparison or a suggestion.
        ConfigError: the space has no such params; every problem is reported.
        StorageError: the home cannot be written.
    """
    search = look_at(home, name)
    point = _point(search, params)
    request = added.request_trial(home.added_trials(name), point)
    if search.standing == "running":
        _wait(lambda: _number(home, name, request) is not None, _TAKEN_WITHIN_SECONDS)
    return point, _number(home, name, request)


def _number(home: Home, name: str, request: str) -> int | None:
    return added.taken(look_at(home, name).state.notes).get(request)


def _point(search: Overview, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The params as trials of the search have them."""
    spec = search.state.header.get("spec")
    if search.kind != "search" or not isinstance(spec, dict):
        raise ResultError(f"{search.name} is a {search.kind}, whose runs are fixed; trials are added to searches")
    fixed = fixed_fields(spec)
    space, problems = check_search(_without_none(spec.get("search")), fixed)
    points, wrong = check_points([dict(params)], space, space)
    problems += wrong
    if not problems:
        problems = check_that_params_exist(points[0], space, fixed, _FIRST)
    if problems:
        named = [Problem(problem.where.removeprefix(f"{_FIRST}."), problem.what) for problem in problems]
        raise ConfigError(f"a trial for {search.name}", named)
    return points[0]


def _without_none(written: Any) -> Any:
    """A section as a person would write it: what is not given is left out."""
    if not isinstance(written, dict):
        return written
    return {name: _without_none(value) for name, value in written.items() if value is not None}


def _wait(until: Callable[[], bool], patience: float) -> bool:
    end = time.monotonic() + patience
    while not until():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_EVERY_SECONDS)
    return True
