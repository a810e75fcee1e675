"""Paths as people write them."""

import os
from pathlib import Path

from eig_tune.errors import EigTuneError

_LONGEST_NAME = 200  # bytes: file systems take 255, some of them ours


def expanded(path: Path, key: str) -> Path:
    """The path with the home folder for a leading ``~``, which a shell leaves as it is in ``--out=~/x`` and in quotes.

    Args:
        key: the option or the key that the path was given for.

    Raises:
        EigTuneError: there is no such home folder, or no file system has such a path, or it may not be looked at.
    """
    try:
        whole = path.expanduser()
        whole.exists()  # fails for a name that is too long, and for a folder that may not be read
    except RuntimeError as error:
        what = f"there is no home folder for {path.parts[0]} here"
        raise EigTuneError(f"{key}: got {str(path)!r}; {what}; write the whole path, or set HOME") from error
    except OSError as error:
        raise EigTuneError(f"{key}: {_shown(str(path))} cannot be used ({error.strerror}); give another one") from error
    return whole


def have_a_home() -> None:
    """Set HOME to ``/``, as Docker does, where this user has no home folder: MLflow and Ray cannot do without one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def absolute(path: Path, key: str) -> Path:
    """The whole path, without ``~``, ``..`` and links; nothing needs to be there.

    Raises:
        EigTuneError: no file system has such a path, or it may not be looked at.
    """
    refuse_unreadable_name(str(path), key)
    try:
        return expanded(path, key).resolve()
    except FileNotFoundError as error:
        what = "the folder in which this command was started is not there any more"
        raise EigTuneError(f"{key}: {what}; change into one that is, and try again") from error
    except (OSError, RuntimeError) as error:
        what = (error.strerror if isinstance(error, OSError) else None) or "a link that leads to itself"
        raise EigTuneError(f"{key}: {_shown(str(path))} cannot be used ({what}); give another one") from error


def check_name(name: str, key: str) -> None:
    """See that a name can be the name of a folder, of an MLflow experiment and a part of an address.

    Raises:
        EigTuneError: it cannot.
    """
    refuse_unreadable_name(name, key)
    wrong = ""
    if not name or name != name.strip():
        wrong = "it is empty, or begins or ends with a space"
    elif "/" in name or "\\" in name:
        wrong = "it has a slash, and becomes the name of a folder"
    elif name.startswith("."):
        wrong = "it begins with a dot, as hidden folders do"
    elif len(name.encode()) > _LONGEST_NAME:
        wrong = f"it has {len(name.encode())} bytes, and {_LONGEST_NAME} are allowed"
    if wrong:
        raise EigTuneError(f"{key}: got {_shown(name)}; {wrong}; give another name")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")


def is_text(name: str) -> bool:
    """Whether a name can be shown on one line and be kept by databases, Ray and MLflow, which take UTF-8 only."""
    return not any(ord(sign) < 32 or ord(sign) == 127 or "\ud800" <= sign <= "\udfff" for sign in name)


def refuse_unreadable_name(name: str, key: str) -> None:
    """See that a name is text.

    Raises:
        EigTuneError: it is not.
    """
    if not is_text(name):
        what = "it has control characters, or bytes that are not UTF-8"
        raise EigTuneError(f"{key}: got {_shown(name)}; {what}; give another name")
