"""Whose ledger it is: a search has an id, and goes on only as what it was.

The id is made when the search begins. It stands in the header of its ledger, on its runs in MLflow and in the path of
its checkpoints; only what carries it is ever resumed, written or cleared.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from eig_tune.errors import ConfigError, Problem, ResultError
from eig_tune.tuning.home import Home
from eig_tune.tuning.ledger import Ledger
from eig_tune.tuning.progress import Console

_ID = re.compile("[0-9a-f]{32}")  # it becomes part of a path, so nothing else may be read from a file
_ANOTHER = "give another --name for this"


def find_search(home: Home, name: str, resume: bool, traits: Mapping[str, Any], console: Console) -> str:
    """The id of the search that is to go on, or a new one; makes nothing.

    Args:
        name: under which the home has it, or will have it.
        traits: everything that makes its trials what they are.

    Raises:
        ResultError: the home has a search of that name which is not to be resumed, is running, or has no id.
        ConfigError: the search that is to go on was another one; every difference is shown.
    """
    file = home.ledger(name)
    if file.is_file():
        with Ledger(file) as ledger:
            if ledger.header or ledger.trials:
                if not resume:
                    raise ResultError(
                        f"--name: there is {name!r} already; go on with it by --resume, or give another name"
                    )
                _check(ledger.header, traits, f"--resume: {name!r}")
                return str(ledger.header["id"])
    _refuse_leftovers(home, name)
    if resume:
        told = f"--resume: {home.path} has no search {name!r} to go on with; a new one begins"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    return uuid.uuid4().hex


def begin_or_check(ledger: Ledger, search_id: str, traits: Mapping[str, Any], what: str) -> None:
    """Note whose ledger it is, or refuse one that is another's.

    Raises:
        ResultError: it belongs to another search, or does not say to which.
        ConfigError: its search was another one; every difference is shown.
    """
    if not ledger.header and not ledger.trials:
        ledger.begin({"id": search_id, **traits})
        return
    _check(ledger.header, traits, what)
    if ledger.header["id"] != search_id:
        raise ResultError(f"{what} belongs to another search ({ledger.header['id']}, not {search_id}); {_ANOTHER}")


def _check(header: Mapping[str, Any], traits: Mapping[str, Any], what: str) -> None:
    if not _ID.fullmatch(str(header.get("id"))):
        raise ResultError(f"{what} was begun by an earlier eig-tune, which gave it no id; {_ANOTHER}")
    if changed := _differences(header, {"id": header["id"], **traits}):
        raise ConfigError(f"{what} was another one; {_ANOTHER}", changed)


def _refuse_leftovers(home: Home, name: str) -> None:
    """What stands beside a ledger that is gone is another search's, and would be taken for this one's."""
    folder, ledger = home.study(name), home.ledger(name)
    files = folder.iterdir() if folder.is_dir() else ()
    if left := sorted(f.name for f in files if f != ledger and f.suffix != ".lock" and not f.name.startswith(".")):
        raise ResultError(
            f"{folder} has files of a search whose {ledger.name} is gone ({', '.join(left)}); "
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
