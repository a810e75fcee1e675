"""Commands that are printed to be pasted: quoted for a shell, with the home and the store where they are not plain."""

import os
import shlex
import sys
from pathlib import Path

from eig_tune.api.running import TRACKING_URI, home_at

_COMMAND = "eig-tune"


def command(*words: str, home: Path, tracking_uri: str | None = None) -> str:
    """A command that finds the same searches as the present one, from the same folder and with the same environment.

    Args:
        words: the command's name and its own arguments.
        home: the present command's.
        tracking_uri: the present command's, as typed or from the environment; None is the home's own store.
    """
    where = [] if home == home_at(None).path else ["--home", str(home)]
    if tracking_uri not in (None, os.environ.get(TRACKING_URI)):
        where += ["--tracking-uri", str(tracking_uri)]
    return shlex.join([_COMMAND, *words, *where])


def resumed() -> str:
    """The present command once more, going on."""
    typed = [word for word in sys.argv[1:] if word != "--resume"]
    return shlex.join([_COMMAND, *typed, "--resume"])
