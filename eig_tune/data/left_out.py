"""Files that were left out, counted by reason, and names of files as text that any place can hold."""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HIDDEN = "hidden or of the system"
NO_IMAGE = "not an image"
OTHER_FORMAT = "in a format that is not read"
NO_IMAGE_BELOW = "folder without an image"
LINKED_TWICE = "link to a folder that was read before"
BROKEN_LINK = "broken link"
NOT_PERMITTED = "not permitted to be read"
CANNOT_BE_OPENED = "cannot be opened"
NOT_REGULAR = "not a regular file"
_ENDINGS_TELL = (NO_IMAGE, OTHER_FORMAT)
_MOST_ENDINGS = 3
_MOST_NAMED = 3
_JOINERS = "\u200c\u200d"  # parts of letters and emoji, though Unicode calls them control characters


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that was not read: its path, and why, in words that fit behind "3 ×"."""

    path: str
    reason: str


def counted(left_out: Sequence[LeftOut]) -> str:
    """How many for which reason, most of them first, on one line; "" for none."""
    reasons = Counter(each.reason for each in left_out)
    return ", ".join(f"{count:,} × {reason}{_endings(left_out, reason)}" for reason, count in reasons.most_common())


def _endings(left_out: Iterable[LeftOut], reason: str) -> str:
    if reason not in _ENDINGS_TELL:
        return ""
    endings = Counter(os.path.splitext(each.path)[1].lower() for each in left_out if each.reason == reason)  # noqa: PTH122
    named = [printable(ending) or "no ending" for ending, _ in endings.most_common(_MOST_ENDINGS)]
    return f" ({', '.join(named)}{', …' if len(endings) > len(named) else ''})"


def names_file(folder: Path, root: Path) -> Path:
    """The file in ``folder`` for the names of what was left out below ``root``."""
    return folder / f"left-out-{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:8]}.csv"


def write_left_out(left_out: Iterable[LeftOut], file: Path) -> None:
    """Write the names and reasons as CSV, with a header line.

    Raises:
        OSError: the file cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["path", "reason"])
        writer.writerows([cell(each.path), each.reason] for each in left_out)


def cell(path: str) -> str:
    """A path as a cell of a table: printable, and with ``./`` before what a spreadsheet would take for a formula."""
    text = printable(path)
    return f"./{text}" if text.startswith(("=", "+", "-", "@")) else text


def named(names: Sequence[str]) -> str:
    """The first few names, quoted, on one line."""
    more = ", …" if len(names) > _MOST_NAMED else ""
    return ", ".join(f"'{printable(name)}'" for name in names[:_MOST_NAMED]) + more


def printable(name: str) -> str:
    r"""A file's name as text for any place: bytes that are not UTF-8 and control characters are escaped (\xff, \n)."""
    return "".join(_sign(sign) for sign in name)


def _sign(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":  # how Python holds a byte that is not UTF-8
        return f"\\x{ord(sign) - 0xDC00:02x}"
    if sign.isprintable() or sign in _JOINERS:
        return sign
    return sign.encode("unicode_escape").decode()
