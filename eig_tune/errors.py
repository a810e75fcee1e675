"""Errors that a person can mend, and the exit code of the command that they end.

Each is an :class:`EigTuneError`: it says what is wrong, where, and what would be right, and the command line prints it
without a traceback. Any other exception is a bug and keeps its traceback.
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
MEND_AND_RESUME = "nothing is lost: when that is mended, go on with --resume"


class EigTuneError(Exception):
    """Base of all errors that a person can mend; the command line exits with ``exit_code``."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration: the key's path, what is wrong there, and the remedy."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(EigTuneError):
    """A configuration with one or more problems, all reported at once."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{source}: {count}", *(f"  {problem}" for problem in problems)]))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[str, tuple[Problem, ...]]]:
        return (type(self), (self.source, self.problems))


class DataError(EigTuneError):
    """The images, labels or imbalance asked for cannot be had."""


class CheckpointError(EigTuneError):
    """A checkpoint or bundle is damaged, foreign, or of another model."""


class ClusterError(EigTuneError):
    """The cluster cannot do what was asked of it."""


class StorageError(EigTuneError):
    """A place for checkpoints, or the home, cannot be written or read: no room, no rights, or no answer."""


class ResultError(EigTuneError):
    """There is no such search, or it has no finished trial to choose from."""


class TrackingError(EigTuneError):
    """The MLflow store cannot be reached or written."""


def one_line(message: object) -> str:
    """The text of an error or a message on one line, without the control characters that a quoted name may have."""
    return "".join(sign for sign in " ".join(str(message).split()) if sign.isprintable())


_MOST_NAMED = 4


def some(things: Sequence[str]) -> str:
    """The first few of many, and how many more there are, so that a message stays a line."""
    more = len(things) - _MOST_NAMED
    return ", ".join(things[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
